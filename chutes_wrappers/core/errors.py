"""The error tree.

WrapperError            an operation failed                       exit code 1
├── ConfigurationError  invalid usage, module, manifest, setting  exit code 2
├── EngineUnavailable   no Docker engine is reachable             exit code 1
├── ImageMissing        the Docker engine has no such image       exit code 1
├── UnsupportedImage    the base image can never run on Chutes    exit code 1
└── ServiceFailed       the wrapped service is not running        exit code 1
"""

from __future__ import annotations

from collections.abc import Mapping


class WrapperError(Exception):
    """A failed operation, described so that a user can act on it.

    ``what`` is one sentence. ``where`` names the file, image, field or index. ``evidence`` is the observed output (log
    lines, a response). ``next_step`` is the fix to try. None of them may contain a secret.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | None = None, evidence: str | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.evidence = evidence
        self.next_step = next_step

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        tail = f"Next: {self.next_step}" if self.next_step else None
        return "\n".join(part for part in (head, self.evidence, tail) if part)

    def to_data(self) -> dict[str, str | int | None]:
        """Return this error as plain values, for another process; ``error_from_data`` restores it."""
        return {
            "what": self.what,
            "where": self.where,
            "evidence": self.evidence,
            "next_step": self.next_step,
            "exit_code": self.exit_code,
        }


class ConfigurationError(WrapperError):
    """Invalid input of the user: usage, a module, a manifest, a variable."""

    exit_code = 2


class EngineUnavailable(WrapperError):
    """No Docker engine is reachable. Commands that can run without one catch this."""


class ImageMissing(WrapperError):
    """The Docker engine has no image of that name."""


class UnsupportedImage(WrapperError):
    """The base image lacks what the SDK needs, and no recipe can add it."""


class ServiceFailed(WrapperError):
    """The wrapped service exited, or did not become ready in time."""


def error_from_data(data: Mapping[str, str | int | None]) -> WrapperError:
    """Return the error that ``to_data`` described: a ConfigurationError if it was one, else a WrapperError."""

    def text(key: str) -> str | None:
        value = data.get(key)
        return None if value is None else str(value)

    kind = ConfigurationError if data.get("exit_code") == ConfigurationError.exit_code else WrapperError
    return kind(text("what") or "failed", where=text("where"), evidence=text("evidence"), next_step=text("next_step"))
