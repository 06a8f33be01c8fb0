"""Pulling an image, with the progress of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chutes_wrappers.core.errors import WrapperError

if TYPE_CHECKING:
    from docker import DockerClient

_PLATFORM = "linux/amd64"


def pull_image(client: DockerClient, reference: str, report: Callable[[str], None]) -> None:
    """Pull an image for linux/amd64; ``report`` gets a line for each change of a layer. WrapperError when it cannot be."""
    from docker.errors import APIError

    report(f"pulling {reference}")
    try:
        _pull_layers(client, *_split_reference(reference), report)
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

    statuses: dict[str, str] = {}
    error = None
    events: Any = client.api.pull(name, tag=tag, platform=_PLATFORM, stream=True, decode=True)
    for event in events:  # to its end: only then docker-py lets go of the connection
        error = event.get("error", error)
        layer, status = event.get("id", ""), event.get("status", "")
        if status and statuses.get(layer) != status:
            statuses[layer] = status
            report(f"{layer} {status} {event.get('progress', '')}".strip())
    if error is not None:
        raise APIError(str(error))


def _split_reference(reference: str) -> tuple[str, str]:
    """Repository and digest (or tag) of a reference; without either, "latest"."""
    name_and_tag, _, digest = reference.partition("@")
    name, separator, tag = name_and_tag.rpartition(":")
    if not separator or "/" in tag:
        name, tag = name_and_tag, ""
    return name, digest or tag or "latest"
