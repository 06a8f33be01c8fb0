"""Pulling an image, with the progress of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chutes_wrappers.core.errors import WrapperError

if TYPE_CHECKING:
    from docker import DockerClient

_PLATFORM = "linux/amd64"


def pull(client: DockerClient, reference: str, report: Callable[[str], None]) -> None:
    """Pull an image for linux/amd64; ``report`` gets a line for each change of a layer. WrapperError when it cannot be."""
    from docker.errors import APIError

    report(f"pulling {reference}")
    try:
        _pull_layers(client, *_split(reference), report)
    except (TypeError, AttributeError, LookupError) as error:  # docker-py takes the shape of its file for granted
        raise WrapperError(
            "the image cannot be pulled: Docker's config.json holds something else than Docker's settings",
            where=reference,
            evidence=type(error).__name__,
            next_step="correct or remove ~/.docker/config.json (DOCKER_CONFIG names another folder)",
        ) from error
    except APIError as error:
        raise WrapperError(
            "the image is not on this machine and cannot be pulled",
            where=reference,
            evidence=str(error.explanation or error),
            next_step="correct the name, log in with `docker login`, or build the image here",
        ) from error


def _pull_layers(client: DockerClient, name: str, tag: str, report: Callable[[str], None]) -> None:
    from docker.errors import APIError

    shown: dict[str, str] = {}
    problem = None
    events: Any = client.api.pull(name, tag=tag, platform=_PLATFORM, stream=True, decode=True)
    for event in events:  # to its end: only then docker-py lets go of the connection
        problem = event.get("error", problem)
        layer, status = event.get("id", ""), event.get("status", "")
        if status and shown.get(layer) != status:
            shown[layer] = status
            report(f"{layer} {status} {event.get('progress', '')}".strip())
    if problem is not None:
        raise APIError(str(problem))


def _split(reference: str) -> tuple[str, str]:
    """Repository and digest (or tag) of a reference; without either, "latest"."""
    named, _, digest = reference.partition("@")
    name, separator, tag = named.rpartition(":")
    if not separator or "/" in tag:
        name, tag = named, ""
    return name, digest or tag or "latest"
