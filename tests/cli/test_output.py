from __future__ import annotations

import io
from pathlib import Path

import pytest

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError


@pytest.fixture(autouse=True)
def fresh_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_console", None)


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of fault reports, so that tests write none to the user's home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "chutes-wrappers"


def failing(failure: BaseException) -> int:
    def command() -> int:
        raise failure

    return output.run(command)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (WrapperError("it broke"), 1),
        (ConfigurationError("it is wrong"), 2),
        (KeyboardInterrupt(), 130),
        (ValueError("a bug"), 1),
    ],
)
def test_an_outcome_becomes_its_exit_code(failure: BaseException, code: int) -> None:
    assert failing(failure) == code


def test_success_is_0() -> None:
    assert output.run(lambda: None) == 0
    assert output.run(lambda: 3) == 3


def test_an_error_is_shown_with_location_evidence_and_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    failing(WrapperError("it broke", where="deploy_x.py", evidence="line [1]\nline 2", next_step="mend it"))
    assert capsys.readouterr().err.splitlines() == [
        "✗ deploy_x.py: it broke",
        "  | line [1]",
        "  | line 2",
        "  Next: mend it",
    ]


@pytest.mark.parametrize(
    ("line", "output_text"),
    [
        ("\x1b[38;5;69mcolour\x1b[0m", "colour"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link", "link"),
        ("\x1b[?25lhidden\x1b[2J", "hidden"),
        ("a\tb\x00\x9b1mc", r"a       b\x00\x9b1mc"),
    ],
)
def test_escape_sequences_of_other_programs_are_removed_and_the_rest_is_escaped(
    line: str, output_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.log(line)
    failing(WrapperError("it broke", evidence=line))
    assert capsys.readouterr().err.splitlines() == [f"  | {output_text}", "✗ it broke", f"  | {output_text}"]


def test_an_internal_error_is_one_line_or_a_traceback_with_debug(
    capsys: pytest.CaptureFixture[str], reports: Path
) -> None:
    def command() -> int:
        raise ValueError("a bug")

    assert output.run(command) == 1
    assert "--debug" in capsys.readouterr().err
    assert len([*reports.iterdir()]) == 1
    with pytest.raises(ValueError, match="a bug"):
        output.run(command, debug=True)


def test_a_missing_package_is_reported_with_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        import a_library_of_another_version  # type: ignore[import-not-found]  # noqa: F401

    assert output.run(command) == 1
    output_text = capsys.readouterr().err
    assert "a_library_of_another_version" in output_text
    assert "Next: run ./deploy.sh --doctor" in output_text


def test_only_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    output.report("progress")
    output.warning("careful")
    output.print_result('{"a": 1}')
    assert capsys.readouterr().out == '{"a": 1}\n'


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "ä \\ud800 ✓"), ("latin-1", "ä \\ud800 \\u2713")])
def test_a_character_that_the_output_cannot_encode_is_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, line: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    output.print_result("ä \ud800 ✓")
    assert written.getvalue().decode(encoding) == f"{line}\n"


def test_plain_output_has_no_escape_codes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    output.success("done")
    assert capsys.readouterr().err == "✓ done\n"


def test_progress_shows_important_lines_and_keeps_the_last_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with output.Progress("Building", is_important=lambda line: line.startswith("Step")) as progress:
        for index in range(60):
            progress.add_line(f"noise {index}")
        progress.add_line("Step 1/2 : FROM x")
    output_text = capsys.readouterr().err
    assert "Building" in output_text
    assert "Step 1/2" in output_text
    assert "noise 3" not in output_text
    assert len(progress.tail.splitlines()) == 50
    assert progress.tail.endswith("Step 1/2 : FROM x")
