"""The content of a deploy module for an image. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.creation.ports import place_ports
from chutes_wrappers.host.creation.reference import Reference
from chutes_wrappers.host.discovery.credentials import HeaderSuggestion, Refusal

_MODULE_FILE_NAME = "deploy_{}.py"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The values of a deploy module. ``entrypoint`` overrides that of the image; ``notes`` are for the user.

    ``has_cuda_libraries``: the image's programs must find CUDA's libraries that pip has installed. ``header`` sends the
    credentials that the service wants, which ``refusal`` has shown; without a refusal only its specification declares them.
    """

    reference: str
    name: str
    ports: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    has_cuda_libraries: bool = False
    header: HeaderSuggestion | None = None
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The file name of the module."""
        return _MODULE_FILE_NAME.format(re.sub(r"[^a-z0-9]+", "_", self.name).strip("_"))


def propose(reference: Reference, image: ImageFacts, *, name: str | None, port: int | None) -> Proposal:
    """Return a proposal for the image with the facts ``image``.

    ``name`` and ``port`` are the user's options. A service on a port that the platform reserves is moved if its variables
    or arguments allow it. Raises UnsupportedImage for an image that cannot run, ConfigurationError when the port is
    unknown, or for a name that a chute cannot have.
    """
    _check_can_run(reference.text, image)
    placement = place_ports(reference.text, image, port)
    chute_name = name if name is not None else name_from_reference(reference.text)
    check_name(chute_name)
    return Proposal(
        reference=reference.text,
        name=chute_name,
        ports=placement.ports,
        environment=placement.environment,
        entrypoint=placement.argv if placement.argv != image.argv else (),
        notes=tuple(filter(None, (*placement.notes, _build_name_note(chute_name)))),
    )


def _build_name_note(name: str) -> str:
    subnet_word = platform_checks.find_subnet_word(name)
    return (
        f"Chutes would reject the name: {subnet_word!r} belongs to a subnet; set another --name" if subnet_word else ""
    )


def _check_can_run(reference: str, image: ImageFacts) -> None:
    if image.platform != IMAGE_PLATFORM:
        problem = UnsupportedImage(
            f"it is built for {image.platform}; Chutes runs {IMAGE_PLATFORM}",
            where=reference,
            next_step=f"build it for {IMAGE_PLATFORM}",
        )
        refuse("image-platform", problem)
    if not image.argv:
        raise UnsupportedImage(
            "it has no ENTRYPOINT and no CMD, so it starts no service",
            where=reference,
            next_step="use the image that runs the service, or start with "
            f"{NAMES.deploy} --template deploy_example and set ENTRYPOINT",
        )


def check_name(name: str) -> None:
    """Raise ConfigurationError for a name that is not valid for a chute and its image."""
    problem = ConfigurationError(
        f"{name!r} is not a valid name for a chute and its image",
        where="--name",
        next_step=f"use 3 to {platform_rules.IMAGE_NAME_LENGTH[1]} of a-z, 0-9, '-', '_' and '.', the first a letter or "
        "digit, such as --name ocr",
    )
    if name != name.lower():  # Docker does not accept it either
        raise problem
    if platform_checks.find_image_name_problem(name):
        refuse("image-name", problem)
    if platform_checks.find_chute_name_problem(name):
        refuse("chute-name", problem)


def name_from_reference(reference: str) -> str:
    """Return a valid chute name, of at least 3 characters, from the last part of a reference without its tag."""
    last_part = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last_part).strip("-")[: platform_rules.IMAGE_NAME_LENGTH[1]].strip("-")
    if not name[:1].isalpha():
        name = f"app-{name}".strip("-")
    return name if len(name) >= platform_rules.CHUTE_NAME_LENGTH[0] else f"{name}-app"
