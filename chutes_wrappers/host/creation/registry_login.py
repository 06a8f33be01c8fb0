"""Saved logins of ``docker login``: from Docker's config.json, or from a credential helper."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, field

_HELPER = "docker-credential-{}"


@dataclass(frozen=True, kw_only=True)
class Login:
    """A user and a password, or an identity ``token``; neither where no login is saved, or where ``problem`` says why."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    problem: str = ""

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, or None."""
        return (self.user, self.password) if self.user and self.password else None


def read_login(host: str) -> Login:
    """Return the saved login for the registry ``host``. It never raises: errors are in ``problem``."""
    from docker import auth
    from docker.errors import DockerException

    helper = None
    try:
        config = auth.load_config()
        helper = config.get_credential_store(host)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a missing helper: it raises an error as well
            entry = config.resolve_authconfig(host) or {}
        values = {name.lower(): value for name, value in entry.items() if isinstance(value, str)}
    except (DockerException, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        # docker-py validates neither config.json nor the output of a helper. The error's message is not used, because it
        # may contain a password.
        return Login(problem=_describe_problem(helper, type(error).__name__))
    return Login(
        user=values.get("username", ""), password=values.get("password", ""), token=values.get("identitytoken", "")
    )


def _describe_problem(helper: object, error_name: str) -> str:
    if helper is None:
        return f"Docker's config.json cannot be used ({error_name})"
    name = _HELPER.format(helper)
    if shutil.which(name) is None:
        return f"the credential helper {name} is not on PATH"
    return f"the credential helper {name} fails ({error_name})"
