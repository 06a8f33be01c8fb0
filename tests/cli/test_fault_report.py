from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.cli import output
from chutes_wrappers.cli.fault_report import Invocation, mask_secrets, report_fault, write_report
from chutes_wrappers.cli.main import deploy
from chutes_wrappers.cli.version import collect_versions
from chutes_wrappers.core.manifest import parse_manifest

KEY = "cpk_0123456789abcdef0123456789abcdef.fedcba98.Zz9"
PHRASE = "abandon ability able about above absent absorb abstract absurd abuse access accident"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(output, "_console", None)
    return tmp_path / "chutes-wrappers"


def fail(secret: str) -> None:
    local = f"local {secret}"
    try:
        parse_manifest(local, where=f"wrapped {secret}")
    except Exception as error:
        raise ValueError(f"cannot use {secret!r}") from error


def failed(secret: str) -> ValueError:
    try:
        fail(secret)
    except ValueError as error:
        return error
    raise AssertionError


def test_a_fault_of_a_command_is_reported_with_its_flags_and_without_their_values(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHUTES_API_KEY", "value-of-the-environment")

    def call(name: str, path: str, options: object) -> int:
        raise ValueError(f"{name} {path} {options} value-of-the-environment")

    monkeypatch.setattr("chutes_wrappers.cli.commands.call.call", call)
    with pytest.raises(SystemExit) as ended:
        deploy(["--call", "a-chute", "/a-path", "-d", '{"a": "body"}', "-F", "field=content", "--json"])
    assert ended.value.code == 1
    (report,) = state.iterdir()
    text = report.read_text()
    output_text = capsys.readouterr().err
    assert str(report) in output_text.replace("\n", "")
    assert "this is a fault of the toolkit" in output_text.replace("\n", " ")
    assert "command --call" in text
    assert "flags --data, --form, --json" in text
    for version in collect_versions():
        assert " ".join(version) in text
    for secret in ("a-chute", "/a-path", "body", "content", "value-of-the-environment"):
        assert secret not in text
        assert secret not in output_text


def test_a_report_has_our_frames_with_their_lines_and_others_without(state: Path) -> None:
    report = write_report(failed("x"), Invocation(command="--build"))
    assert report is not None
    text = report.read_text()
    assert "core/manifest.py, line " in text
    assert "cli/test_fault_report.py, line " in text
    assert "builtins.ValueError: cannot use 'x'" in text
    assert "raise ConfigurationError" in text  # a line of ours
    assert "raise ValueError" not in text  # a user's module may have a secret on such a line
    assert str(Path.home()) not in text


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        PHRASE,
        "0x" + "ab" * 32,
        "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        "https://user:hunter2@example.com/",
        "Bearer abc.def",
        "kP1/x+3yZ" * 5 + "==",
        "token=abc123",
        "{'password': 'hunter2'}",
        'api_key="abc123"',
        "password = 'one hunter2 three'",
        'client({"passwd": "hunter2"})',
        r"body \"{\\\"password\\\": \\\"hunter2\\\"}\"",
        "DB_PASS=hunter2",
        "Authorization: hunter2",
        "Cookie: session=hunter2",
        "https://user:p@hunter2@example.com/",
        f"eyJhbGciOiJ.{'abc123-' * 7}.abc123",
        repr(PHRASE.split()),
    ],
)
def test_what_looks_like_a_secret_is_in_no_report(secret: str, state: Path) -> None:
    report = write_report(failed(secret), Invocation())
    assert report is not None
    assert secret not in report.read_text()
    hidden = mask_secrets(secret)
    assert "••••" in hidden
    assert not [part for part in ("hunter2", "abc123", "abc.def", KEY, PHRASE, "accident") if part in hidden]


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ('{"user": "bob", "more": [{"word": "hunter2"}]}', "hunter2"),
        ("word=hunter2", "hunter2"),
        ('it\'s "hunter2"', repr('it\'s "hunter2"')),
        ("[" * 100_000, "["),
    ],
    ids=["json", "field", "repr", "nested"],
)
def test_a_part_of_a_flags_value_is_masked(value: str, quoted: str, state: Path) -> None:
    assert "hunter2" not in mask_secrets(f"cannot use {quoted}", [value])


def test_a_setting_that_is_not_secret_is_not_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "somebody")
    monkeypatch.setenv("HF_TOKEN", "word")
    assert mask_secrets("somebody has false and word") == "somebody has false and ••••"


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    ("failure", "output_text"), [(ValueError("file \udcff"), r"file \udcff"), (Silent(), "its message cannot be shown")]
)
def test_a_message_that_cannot_be_written_is_reported(failure: Exception, output_text: str, state: Path) -> None:
    assert "unexpected" in report_fault(failure_with_trace(failure), Invocation()).what
    (report,) = state.iterdir()
    assert output_text in report.read_text()


def failure_with_trace(failure: Exception) -> Exception:
    with pytest.raises(type(failure)) as raised:
        raise failure
    return raised.value


def test_a_user_without_home_and_temporary_folder_sees_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    def no_folder() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    assert "report it; --debug" in str(report_fault(failure_with_trace(ValueError("x")), Invocation()).next_step)


@given(st.text("abcdef0123456789", min_size=32, max_size=64), st.text(max_size=20), st.text(max_size=20))
def test_a_long_key_is_masked_at_any_position(key: str, before: str, after: str) -> None:
    assert key not in mask_secrets(f"{before}{key}{after}")


def test_an_ordinary_message_stays_readable() -> None:
    for message in (
        "invalid literal for int() with base 10: 'abc'",
        "port 8000 is not in the list of 3 ports",
        "function() got an unexpected keyword argument 'timeout_of_the_very_long_operation'",
        "[Errno 2] No such file or directory: '/home/somebody/Projects2/speech-to-text/deploy_whisper.py'",
    ):
        assert mask_secrets(message) == message


def test_a_report_is_private_and_leaves_no_temporary_file(state: Path) -> None:
    report = write_report(failed("x"), Invocation())
    assert report is not None
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert list(state.iterdir()) == [report]
    second = write_report(failed("x"), Invocation())
    assert second != report


def test_an_unfinished_report_leaves_no_file(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr("tempfile.tempdir", str(state.parent / "scratch"))
    assert write_report(failed("x"), Invocation()) is None
    assert list(state.iterdir()) == list((state.parent / "scratch").iterdir()) == []


def test_the_temporary_folder_is_the_fallback_for_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    report = write_report(failed("x"), Invocation())
    assert report is not None
    assert report.parent == tmp_path / "scratch"


def test_without_xdg_the_report_is_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    report = write_report(failed("x"), Invocation())
    assert report is not None
    assert report.parent == tmp_path / ".local" / "state" / "chutes-wrappers"


def test_a_cycle_of_causes_ends(state: Path) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    report = write_report(first, Invocation())
    assert report is not None
    assert report.read_text().count("ValueError") == 2


def test_a_missing_package_and_debug_write_no_report(state: Path) -> None:
    def incomplete() -> int:
        raise ImportError("a_library")

    def broken() -> int:
        raise ValueError("a bug")

    assert output.run(incomplete) == 1
    with pytest.raises(ValueError, match="a bug"):
        output.run(broken, debug=True)
    assert not state.exists()


def test_wrong_usage_and_an_expected_failure_write_no_report(state: Path) -> None:
    with pytest.raises(SystemExit):
        deploy(["--bild"])
    with pytest.raises(SystemExit) as ended:
        deploy(["--cost", "deploy_nowhere"])
    assert ended.value.code == 2
    assert not state.exists()


def test_only_what_led_to_a_failure_is_reported_of_its_context(state: Path) -> None:
    def report_of(cause: Exception | None, *, is_explicit: bool) -> str:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                if is_explicit:
                    raise ValueError("second") from cause
                raise ValueError("second")  # noqa: B904
        except ValueError as error:
            report = write_report(error, Invocation())
        assert report is not None
        return report.read_text()

    assert "KeyError: 'first'" in report_of(None, is_explicit=False)
    assert "KeyError" not in report_of(None, is_explicit=True)
    assert "KeyError" not in (caused := report_of(TypeError("cause"), is_explicit=True))
    assert "TypeError: cause" in caused


def test_the_longest_secret_is_masked_first_and_a_short_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_TOKEN", "e")
    assert mask_secrets("one of wordsmith", ["word", "wordsmith"]) == "one of ••••"
