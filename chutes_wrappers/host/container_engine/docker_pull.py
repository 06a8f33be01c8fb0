"""Pulls of images, with the progress of their layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM

if TYPE_CHECKING:
    from docker import DockerClient


def pull_image(client: DockerClient, reference: str, report: Callable[[str], None]) -> None:
    """Pull an image for linux/amd64; ``report`` receives one line for each change of a layer. Raise WrapperError on failure."""
    from docker.errors import APIError

    report(f"pulling {reference}")
    try:
        _pull_layers(client, *_split_reference(reference), report)
    except (TypeError, AttributeError, LookupError) as error:  # docker-py does not validate config.json
        raise WrapperError(
            "the image cannot be pulled: Docker's config.json does not contain Docker's settings",
            where=reference,
            evidence=type(error).__name__,
            next_step="correct or remove ~/.docker/config.json (or that file in the folder of DOCKER_CONFIG)",
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
    events: Any = client.api.pull(name, tag=tag, platform=IMAGE_PLATFORM, stream=True, decode=True)
    for event in events:  # to the end: docker-py closes the connection only then
        error = event.get("error", error)
        layer, status = event.get("id", ""), event.get("status", "")
        if status and statuses.get(layer) != status:
            statuses[layer] = status
            report(f"{layer} {status} {event.get('progress', '')}".strip())
    if error is not None:
        raise APIError(str(error))


def _split_reference(reference: str) -> tuple[str, str]:
    """Split a reference into its repository and its digest or tag; "latest" by default."""
    name_and_tag, _, digest = reference.partition("@")
    name, separator, tag = name_and_tag.rpartition(":")
    if not separator or "/" in tag:
        name, tag = name_and_tag, ""
    return name, digest or tag or "latest"
