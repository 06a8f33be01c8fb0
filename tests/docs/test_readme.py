"""Links, anchors, flags and messages of the documents exist, and a test runs each command of the README."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.verb import COMMON
from tests.scenario import ROOT

from .readme import README, find_commands, find_missing_output, find_promised_output

DOCUMENTS = sorted(
    path
    for path in (
        ROOT / name for name in subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
    )
    if path.exists()
)
RUNNERS = tuple(
    ROOT / "tests" / name for name in ("docs/test_commands.py", "docker/test_readme.py", "packages/test_wheel.py")
)
# Commands without a test, with the reason.
NOT_RUN = {
    "./test.sh": "it runs the tests",
    "export CHUTES_API_KEY=cpk_...": "a placeholder: the tests use another key",
}
OTHER_FLAGS = {
    # docker's, git's, pip's, buildah's, curl's and uvicorn's
    "--build-arg", "--rm", "--follow-tags", "--workers",
    # tools/discover_routes.py, setup.sh, wizard and emulator have separate parsers
    "--base-url", "--chute-file", "--docker-env", "--shm-size", "--folder", "--config", "--username", "--balance", "--stale",
    "--account", "--no-account", "--python", "--register", "--wallet", "--link", "--key", "--wait", "--dev",
    "--fingerprint", "--from-env", "--probe-paths",
}  # fmt: skip


def find_anchors(path: Path) -> set[str]:
    """Find the anchors of a document's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_anchors_resolve(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (document.parent / name) if name else document
        assert linked.exists(), target
        assert not anchor or anchor in find_anchors(linked), target


def test_each_command_of_the_readme_is_run_by_a_test() -> None:
    run = "\n".join(path.read_text(encoding="utf-8") for path in RUNNERS).replace("\\", "")
    assert len(find_commands()) > 20
    assert [command for command in find_commands() if command not in run and command not in NOT_RUN] == []
    assert [command for command in NOT_RUN if command not in find_commands()] == []


def test_output_shown_in_the_readme_is_compared() -> None:
    assert len(find_promised_output()) == 4
    discover = "./deploy.sh --discover deploy_chat --check"
    assert (
        find_missing_output(discover, "...\r\n\x1b[32m✓ deploy_chat.routes.json  matches the service: 12 routes\r\n")
        == []
    )
    assert (
        find_missing_output(discover, "✓ deploy_chat.routes.json is something else") == find_promised_output()[discover]
    )


def test_each_flag_of_the_readme_exists() -> None:
    options = [*COMMON, *(option for verb in VERBS.values() for option in verb.get_options())]
    flags = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    known = flags | {verb.flag for verb in VERBS.values()} | OTHER_FLAGS | {"--help"}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert sorted(mentioned - known) == []


def test_troubleshooting_quotes_real_messages() -> None:
    table = README.partition("## Troubleshooting")[2].partition("\n\n")[2].partition("\n\n")[0]
    keys = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", table, re.M)
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "chutes_wrappers").rglob("*.*")
        if path.suffix in (".py", ".sh")
    )
    messages = re.sub(r'"\s*\n\s*f?"', "", source)  # one message in two literals
    assert len(keys) > 12
    for message in re.findall(r"`([^`]+)`", "".join(keys)):
        for part in filter(None, (piece.strip() for piece in message.split("…"))):
            assert part in messages, f"no message contains {part!r}"
