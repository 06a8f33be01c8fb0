"""Docker's errors → ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from chutes_wrappers.core.errors import EngineUnavailable, ImageMissing, WrapperError

_LONGEST_REASON = 300


@contextlib.contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise WrapperError, or EngineUnavailable when the engine itself is gone, for what goes wrong inside; ``where`` is the image."""
    import requests
    import urllib3
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound

    try:
        yield
    except ImageNotFound as error:
        raise ImageMissing(
            "the Docker engine has no such image", where=where, next_step="build or pull it first, and check its name"
        ) from error
    except NotFound as error:
        raise WrapperError(
            f"the Docker engine does not find it: {error.explanation or error}",
            where=where,
            next_step="start again, unless somebody removed it on purpose",
        ) from error
    except APIError as error:
        raise WrapperError(
            f"the Docker engine refused: {error.explanation or error}", where=where, next_step="correct what it names"
        ) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise EngineUnavailable(
            "the Docker engine stopped answering",
            where=where,
            evidence=format_reason(error),
            next_step="start it and try again; `docker info` must work",
        ) from error
    except DockerException as error:
        raise WrapperError(
            f"Docker cannot take this: {format_reason(error)}", where=where, next_step="correct what it names"
        ) from error


def run_cleanup(action: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Clean up: the thing may be gone already, and a dead engine must not hide the first error."""
    import requests
    from docker.errors import DockerException

    with contextlib.suppress(DockerException, requests.exceptions.RequestException):
        action(*arguments, **options)


def build_unavailable_error(error: Exception) -> EngineUnavailable:
    """Why no connection could be made, and what to do about that very reason."""
    return EngineUnavailable(
        "no Docker engine answers", evidence=format_reason(error), next_step=_select_next_step(error)
    )


def format_reason(error: Exception) -> str:
    """An error's last line, cut to a readable length."""
    text = str(error).strip()
    return text.splitlines()[-1][:_LONGEST_REASON] if text else type(error).__name__


def _select_next_step(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "your user may not use the engine: add it to the group docker and log in again, or run as root"
    if isinstance(error, FileNotFoundError):
        return "install Docker, or start it (systemctl start docker; Docker Desktop), or set DOCKER_HOST"
    return "start the engine (systemctl start docker; Docker Desktop), or correct DOCKER_HOST or `docker context use`"
