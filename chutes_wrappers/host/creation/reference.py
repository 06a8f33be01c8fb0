"""Image references, parsed as Docker parses them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chutes_wrappers.core.errors import ConfigurationError

_HOST = re.compile(r"(?:[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?\Z")
# OCI distribution specification, "Pulling manifests".
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"[a-z0-9]+:[a-f0-9]{32,}\Z")
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}\Z")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image reference: ``text`` unchanged, the registry's ``host``, the repository's ``name``, and ``version`` (tag or digest)."""

    text: str
    host: str
    name: str
    version: str


def parse_reference(text: str) -> Reference:
    """Parse an image reference; a digest takes precedence over a tag. Raises ConfigurationError for an invalid reference."""
    from docker import auth
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag

    if _IMAGE_ID.match(text):
        raise build_image_id_error(text)
    name_and_tag, separator, digest = text.partition("@")
    repository, tag = parse_repository_tag(name_and_tag)
    try:
        host, name = auth.resolve_repository_name(repository)
    except (DockerException, ValueError, IndexError):
        host, name = "", ""
    is_valid = _HOST.match(host) and _REPOSITORY.match(name) and (tag is None or _TAG.match(tag))
    if not is_valid or (separator and not _DIGEST.match(digest)):
        raise ConfigurationError(
            f"{text!r} is not a valid image reference",
            where="IMAGE",
            next_step="use a reference such as nginx:1.27 or registry.example.com/it:1",
        )
    if host == auth.INDEX_NAME and "/" not in name:
        name = f"library/{name}"
    return Reference(text=text, host=host, name=name, version=digest or tag or "latest")


def build_image_id_error(text: str) -> ConfigurationError:
    """Return the error for an image ID in place of a reference."""
    return ConfigurationError(
        f"{text!r} is an image's ID, and the platform cannot pull an image by its ID",
        where="IMAGE",
        next_step=f"give the image a name and use that name: docker tag {text} registry.example.com/it:1, then push it",
    )
