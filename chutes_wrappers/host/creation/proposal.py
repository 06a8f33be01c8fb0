"""What a module for an image should say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.creation.gpu import cuda_note
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.creation.ports import place
from chutes_wrappers.host.creation.reference import Reference

_MODULE = "deploy_{}.py"
_OURS = "linux/amd64"


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
        return _MODULE.format(re.sub(r"[^a-z0-9]+", "_", self.name).strip("_"))


def propose(reference: Reference, image: ImageFacts, *, name: str | None, port: int | None) -> Proposal:
    """A module for the image that says ``image`` of itself.

    ``name`` and ``port`` are the user's wishes. A service whose port the platform keeps for itself is moved where its
    variables or arguments show how. Raises UnsupportedImage for what can never run, ConfigurationError when nothing tells
    the port, or for a name that no chute can have.
    """
    _check_runs(reference.text, image)
    placed = place(reference.text, image, port)
    chosen = _name(name, reference.text)
    return Proposal(
        reference=reference.text,
        name=chosen,
        ports=placed.ports,
        environment=placed.environment,
        entrypoint=placed.argv if placed.argv != image.argv else (),
        notes=tuple(filter(None, (*placed.notes, cuda_note(image.environment), _name_note(chosen)))),
    )


def _name_note(name: str) -> str:
    word = platform_rules.subnet_word(name)
    return f"Chutes would refuse the name: {word!r} belongs to a subnet; give another --name" if word else ""


def _check_runs(reference: str, image: ImageFacts) -> None:
    if image.platform != _OURS:
        raise UnsupportedImage(
            f"it is built for {image.platform}; Chutes runs {_OURS}", where=reference, next_step=f"build it for {_OURS}"
        )
    if not image.argv:
        raise UnsupportedImage(
            "it names no ENTRYPOINT and no CMD, so it serves nothing by itself",
            where=reference,
            next_step="use the image that runs the service, or begin with "
            f"{NAMES.deploy} --template deploy_example and set ENTRYPOINT",
        )


def _name(wanted: str | None, reference: str) -> str:
    name = wanted if wanted is not None else name_of(reference)
    check_name(name)
    return name


def check_name(name: str) -> None:
    """ConfigurationError for a name that no chute and image can have."""
    rule = platform_rules.image_name_rule(name) or platform_rules.chute_name_rule(name)
    if rule or name != name.lower():
        longest = platform_rules.IMAGE_NAME_LENGTH[1]
        raise ConfigurationError(
            f"{name!r} cannot be the name of a chute and its image",
            where="--name",
            next_step=f"give 3 to {longest} of a-z, 0-9, '-', '_' and '.', the first a letter or digit, such as --name ocr",
        )


def name_of(reference: str) -> str:
    """The last part of a reference, without its tag, in letters that a chute's name may have; of three letters at least."""
    last = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last).strip("-")[: platform_rules.IMAGE_NAME_LENGTH[1]].strip("-")
    if not name[:1].isalpha():
        name = f"app-{name}".strip("-")
    return name if len(name) >= platform_rules.CHUTE_NAME_LENGTH[0] else f"{name}-app"
