"""What a module for an image should say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.creation.gpu import build_cuda_note
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.creation.ports import place_ports
from chutes_wrappers.host.creation.reference import Reference

_MODULE_FILE_NAME = "deploy_{}.py"
_PLATFORM = "linux/amd64"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What goes into a module. ``entrypoint`` replaces the image's; ``notes`` are for the user."""

    reference: str
    name: str
    ports: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The module's."""
        return _MODULE_FILE_NAME.format(re.sub(r"[^a-z0-9]+", "_", self.name).strip("_"))


def propose(reference: Reference, image: ImageFacts, *, name: str | None, port: int | None) -> Proposal:
    """A module for the image that says ``image`` of itself.

    ``name`` and ``port`` are the user's wishes. A service whose port the platform keeps for itself is moved where its
    variables or arguments show how. Raises UnsupportedImage for what can never run, ConfigurationError when nothing tells
    the port, or for a name that no chute can have.
    """
    _check_can_run(reference.text, image)
    placement = place_ports(reference.text, image, port)
    chute_name = _choose_name(name, reference.text)
    return Proposal(
        reference=reference.text,
        name=chute_name,
        ports=placement.ports,
        environment=placement.environment,
        entrypoint=placement.argv if placement.argv != image.argv else (),
        notes=tuple(filter(None, (*placement.notes, build_cuda_note(image.environment), _build_name_note(chute_name)))),
    )


def _build_name_note(name: str) -> str:
    subnet_word = platform_rules.find_subnet_word(name)
    return (
        f"Chutes would refuse the name: {subnet_word!r} belongs to a subnet; give another --name" if subnet_word else ""
    )


def _check_can_run(reference: str, image: ImageFacts) -> None:
    if image.platform != _PLATFORM:
        raise UnsupportedImage(
            f"it is built for {image.platform}; Chutes runs {_PLATFORM}",
            where=reference,
            next_step=f"build it for {_PLATFORM}",
        )
    if not image.argv:
        raise UnsupportedImage(
            "it names no ENTRYPOINT and no CMD, so it serves nothing by itself",
            where=reference,
            next_step="use the image that runs the service, or begin with "
            f"{NAMES.deploy} --template deploy_example and set ENTRYPOINT",
        )


def _choose_name(requested_name: str | None, reference: str) -> str:
    name = requested_name if requested_name is not None else name_from_reference(reference)
    check_name(name)
    return name


def check_name(name: str) -> None:
    """ConfigurationError for a name that no chute and image can have."""
    rule = platform_rules.find_image_name_problem(name) or platform_rules.find_chute_name_problem(name)
    if rule or name != name.lower():
        max_length = platform_rules.IMAGE_NAME_LENGTH[1]
        raise ConfigurationError(
            f"{name!r} cannot be the name of a chute and its image",
            where="--name",
            next_step=f"give 3 to {max_length} of a-z, 0-9, '-', '_' and '.', the first a letter or digit, such as --name ocr",
        )


def name_from_reference(reference: str) -> str:
    """The last part of a reference, without its tag, in letters that a chute's name may have; of three letters at least."""
    last_part = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last_part).strip("-")[: platform_rules.IMAGE_NAME_LENGTH[1]].strip("-")
    if not name[:1].isalpha():
        name = f"app-{name}".strip("-")
    return name if len(name) >= platform_rules.CHUTE_NAME_LENGTH[0] else f"{name}-app"
