from __future__ import annotations

from collections.abc import Iterator

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.doctor.finding import Finding, run_check

FIRST_FINDING = Finding(group="wallet", name="wallets", severity="ok", found="1 hotkey")


@pytest.mark.parametrize(
    ("failure", "found", "fix"),
    [
        (WrapperError("gone", where="here", evidence="first\nlast", next_step="put it back"), "here: gone: last", "put it back"),
        (ModuleNotFoundError("no", name="chutes"), "chutes cannot be imported", "./setup.sh"),
        (PermissionError(13, "Permission denied", "/a b"), "/a b: Permission denied", "ls -ld '/a b'"),
        (OSError("odd"), "OSError", "correct it"),
        (IndexError("a seed: canary"), "IndexError", "report this fault"),
    ],
)  # fmt: skip
def test_a_failed_check_is_one_more_finding(failure: Exception, found: str, fix: str) -> None:
    def look() -> Iterator[Finding]:
        yield FIRST_FINDING
        raise failure

    first, second = run_check("wallet", "check", look)
    assert first == FIRST_FINDING
    assert (second.group, second.name, second.severity) == ("wallet", "check", "failure")
    assert found in second.found
    assert fix in second.fix
    assert "canary" not in second.found
