"""Conversion of Docker's errors to this project's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from chutes_wrappers.core.errors import EngineUnavailable, ImageMissing, WrapperError

_LONGEST_REASON = 300


@contextlib.contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Convert Docker's errors inside the context to WrapperError; ``where`` is the image.

    Raises EngineUnavailable when the connection to the engine fails.
    """
    import requests
    import urllib3
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound

    try:
        yield
    except ImageNotFound as error:
        raise ImageMissing(
            "the Docker engine has no such image", where=where, next_step="check its name, and build or pull it first"
        ) from error
    except NotFound as error:
        raise WrapperError(
            f"not found by the Docker engine: {error.explanation or error}",
            where=where,
            next_step="run the command again, unless it was removed on purpose",
        ) from error
    except APIError as error:
        raise WrapperError(
            f"the Docker engine rejected the request: {error.explanation or error}",
            where=where,
            next_step="correct what the message names",
        ) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise EngineUnavailable(
            "the Docker engine stopped responding",
            where=where,
            evidence=format_reason(error),
            next_step="start the engine and try again; `docker info` must work",
        ) from error
    except DockerException as error:
        raise WrapperError(
            f"Docker does not accept this: {format_reason(error)}",
            where=where,
            next_step="correct what the message names",
        ) from error


def run_cleanup(action: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Run ``action`` and ignore Docker's errors.

    The resource may be gone already, and a stopped engine must not hide the first error.
    """
    import requests
    from docker.errors import DockerException

    with contextlib.suppress(DockerException, requests.exceptions.RequestException):
        action(*arguments, **options)


def build_unavailable_error(error: Exception) -> EngineUnavailable:
    """Build the error for a failed connection, with the next step for its cause."""
    return EngineUnavailable(
        "no Docker engine is reachable", evidence=format_reason(error), next_step=_select_next_step(error)
    )


def format_reason(error: Exception) -> str:
    """Return the last line of an error, cut to 300 characters."""
    text = str(error).strip()
    return text.splitlines()[-1][:_LONGEST_REASON] if text else type(error).__name__


def _select_next_step(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "add your user to the group docker and log in again, or run as root: your user may not use the engine"
    if isinstance(error, FileNotFoundError):
        return "install Docker, or start it (systemctl start docker; Docker Desktop), or set DOCKER_HOST"
    return "start the engine (systemctl start docker; Docker Desktop), or correct DOCKER_HOST or `docker context use`"
