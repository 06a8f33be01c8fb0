"""Facts about an image, from the description that engines and registries return, validated once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError
from pydantic.alias_generators import to_pascal

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM
from chutes_wrappers.host.platform_api import error_responses

_TITLES = ("org.opencontainers.image.title", "org.opencontainers.image.ref.name")
_VERSION = "org.opencontainers.image.version"
_NO_HEALTH_CHECK = ("NONE",)


class MalformedDescription(WrapperError):
    """The description of an image is not valid."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """Facts about an image. ``exposed`` has the form of EXPOSE ("8080/tcp"); from a registry, ``size_bytes`` is the compressed size."""

    platform: str = IMAGE_PLATFORM
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    health_check: tuple[str, ...] = ()
    size_bytes: int = 0

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line that the image runs; empty when it has none."""
        return (*self.entrypoint, *self.cmd)

    @property
    def title(self) -> str:
        """The title in the image's labels; empty when there is none."""
        return " ".join(filter(None, (self.labels.get(name) for name in _TITLES)))

    @property
    def version(self) -> str:
        """The version in the image's labels; empty when there is none."""
        return self.labels.get(_VERSION, "")


class _DockerModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_pascal)


class _HealthCheck(_DockerModel):
    test: tuple[StrictStr, ...] | None = None


class _Config(_DockerModel):
    entrypoint: tuple[StrictStr, ...] | None = None
    cmd: tuple[StrictStr, ...] | None = None
    user: StrictStr | None = None
    env: tuple[StrictStr, ...] | None = None
    exposed_ports: dict[str, Any] | None = None
    labels: dict[str, StrictStr | None] | None = None
    healthcheck: _HealthCheck | None = None


class _Image(_DockerModel):
    os: StrictStr = Field(default="linux", pattern=r"^[\w.-]*$")
    architecture: StrictStr = Field(default="amd64", pattern=r"^[\w.-]*$")
    config: _Config | None = None


def parse_image_facts(reference: str, attributes: Mapping[str, Any], size_bytes: int) -> ImageFacts:
    """Return the facts in ``attributes``, which have the form of ``docker inspect``.

    Raises MalformedDescription, which names the first invalid attribute.
    """
    try:
        image = _Image.model_validate(dict(attributes))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise MalformedDescription(
            "the image's description is malformed",
            where=reference,
            evidence=error_responses.format_detail(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"),
            next_step="build the image again, with `docker build` or buildah",
        ) from error
    config = image.config or _Config()
    health_check = (config.healthcheck.test if config.healthcheck else None) or ()
    return ImageFacts(
        platform=f"{image.os}/{image.architecture}",
        entrypoint=config.entrypoint or (),
        cmd=config.cmd or (),
        user=config.user or "",
        environment=dict(entry.partition("=")[::2] for entry in config.env or ()),
        exposed=tuple(config.exposed_ports or ()),
        labels={name: value or "" for name, value in (config.labels or {}).items()},
        health_check=() if health_check == _NO_HEALTH_CHECK else health_check,
        size_bytes=size_bytes,
    )
