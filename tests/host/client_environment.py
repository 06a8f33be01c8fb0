"""The environment of HTTP clients: a netrc file with a password for every host, and no proxies."""

from __future__ import annotations

from pathlib import Path

import pytest

NETRC_PASSWORD = "netrc-canary"
NETRC_VARIABLES = ("HOME", "NETRC")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


def write_netrc(variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a netrc file that ``variable``, one of NETRC_VARIABLES, leads to."""
    path = folder / ".netrc"
    login = f"login someone password {NETRC_PASSWORD}"
    path.write_text(f"machine 127.0.0.1 {login}\nmachine localhost {login}\ndefault {login}\n")
    path.chmod(0o600)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv(variable, str(folder if variable == "HOME" else path))


def remove_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of proxies, in upper and lower case."""
    for name in _PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
