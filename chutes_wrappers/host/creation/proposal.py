"""What a module for an image should say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage

_MODULE = "deploy_{}.py"
_PORT_FLAGS = ("--port", "-p", "--http-port", "--bind", "-b", "--listen")
_PORT_AT_END = re.compile(r"(?:^|:|=)(\d{2,5})$")
_GPU_VARIABLES = ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "NV_CUDA_CUDART_VERSION")
_LARGE_MODEL = re.compile(r"vllm|sglang|text-generation-inference|tgi|llama|mistral|qwen|flux|diffusion", re.IGNORECASE)
_GIB = 1024**3
_LEAST_GB, _USUAL_GB, _LARGE_GB = 16, 24, 48


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What goes into a module. ``vram_gb`` is what a GPU needs at least; ``reason`` says why. ``entrypoint`` replaces the image's."""

    reference: str
    name: str
    ports: tuple[int, ...]
    vram_gb: int
    reason: str
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The module's."""
        return _MODULE.format(re.sub(r"[^a-z0-9]+", "_", self.name).strip("_"))

    @property
    def node_selector(self) -> dict[str, int]:
        """Arguments of the SDK's NodeSelector."""
        return {"gpu_count": 1, "min_vram_gb_per_gpu": self.vram_gb}


def propose(
    reference: str, attributes: Mapping[str, Any], *, name: str | None, port: int | None, size_bytes: int
) -> Proposal:
    """A module for the image that ``attributes`` (as of ``docker inspect``) describe.

    ``name`` and ``port`` are the user's wishes. A service whose port the platform keeps for itself is moved where its
    variables or arguments show how. Raises UnsupportedImage for what can never run, ConfigurationError when nothing tells
    the port, or for a name that the platform refuses.
    """
    config = attributes.get("Config") or {}
    argv = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    variables = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    _check_runs(reference, attributes, argv)
    ports = (port,) if port else _ports(config.get("ExposedPorts") or {}, argv, variables)
    if not ports:
        raise ConfigurationError(
            "the image does not say on which port it serves", where=reference, next_step="say it with --port"
        )
    ports, environment, entrypoint, notes = _moved(reference, ports, argv, variables)
    vram, reason = _gpu(reference, variables, config.get("Labels") or {}, size_bytes)
    return Proposal(
        reference=reference,
        name=_name(name, reference),
        ports=ports,
        vram_gb=vram,
        reason=reason,
        environment=environment,
        entrypoint=entrypoint,
        notes=notes,
    )


def _check_runs(reference: str, attributes: Mapping[str, Any], argv: Sequence[str]) -> None:
    platform = f"{attributes.get('Os')}/{attributes.get('Architecture')}"
    if platform != "linux/amd64":
        raise UnsupportedImage(
            f"it is built for {platform}; Chutes runs linux/amd64",
            where=reference,
            next_step="build it for linux/amd64",
        )
    if not argv:
        raise UnsupportedImage(
            "it names no ENTRYPOINT and no CMD, so it serves nothing by itself",
            where=reference,
            next_step="use the image that runs the service, or copy deploy_example.py and set ENTRYPOINT",
        )


def _name(wanted: str | None, reference: str) -> str:
    name = wanted if wanted is not None else name_of(reference)
    shortest, longest = platform_rules.CHUTE_NAME_LENGTH
    fits = platform_rules.IMAGE_NAME.match(name) and platform_rules.CHUTE_NAME.match(name)
    if (
        not fits
        or not shortest <= len(name) <= min(longest, platform_rules.IMAGE_NAME_LENGTH[1])
        or name != name.lower()
    ):
        raise ConfigurationError(
            f"the platform refuses the name {name!r}",
            where="--name",
            next_step=f"give 3 to {platform_rules.IMAGE_NAME_LENGTH[1]} of a-z, 0-9, '-' and '_', such as --name ocr",
        )
    return name


def name_of(reference: str) -> str:
    """The last part of a reference, without its tag, in letters that a chute's name may have; of three letters at least."""
    last = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last).strip("-")[: platform_rules.IMAGE_NAME_LENGTH[1]].strip("-")
    if not name[:1].isalpha():
        name = f"app-{name}".strip("-")
    return name if len(name) >= platform_rules.CHUTE_NAME_LENGTH[0] else f"{name}-app"


def _ports(exposed: Mapping[str, Any], argv: Sequence[str], variables: Mapping[str, str]) -> tuple[int, ...]:
    """What the image exposes; else what its arguments or variables name, which are guesses."""
    parts = (key.partition("/")[::2] for key in exposed)
    found = sorted(int(port) for port, protocol in parts if port.isdecimal() and protocol in ("", "tcp"))
    if found:
        return tuple(found)
    for index, word in enumerate(argv):
        flag, _, value = word.partition("=")
        if flag in _PORT_FLAGS and (match := _PORT_AT_END.search(value or next(iter(argv[index + 1 :]), ""))):
            return (int(match[1]),)
    named = [value for key, value in sorted(variables.items()) if key.upper().endswith("PORT") and value.isdecimal()]
    return (int(named[0]),) if named else ()


def _moved(
    reference: str, ports: Sequence[int], argv: Sequence[str], variables: Mapping[str, str]
) -> tuple[tuple[int, ...], dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Ports that an instance has, with the variables and the command that make the service listen there."""
    kept: list[int] = []
    environment: dict[str, str] = {}
    notes: list[str] = []
    words = list(argv)
    for port in ports:
        problem = platform_rules.service_port_problem(port)
        if problem is None:
            kept.append(port)
            continue
        free = _free(port, {*ports, *kept})
        named = {
            key: str(free) for key, value in variables.items() if value == str(port) and key.upper().endswith("PORT")
        }
        replaced = [re.sub(rf"(^|:|=){port}$", rf"\g<1>{free}", word) for word in words]
        if not named and replaced == words:
            if len(ports) > 1:
                notes.append(f"{problem}: left out")
                continue
            raise UnsupportedImage(
                f"{problem}, and nothing in the image's command or variables moves it",
                where=reference,
                next_step=f"let the service listen on {free} by its own settings (an image built FROM this one), then --create that",
            )
        environment |= named
        words = replaced
        kept.append(free)
        notes.append(f"{problem}: the service is moved to port {free}")
    return tuple(kept), environment, tuple(words) if words != list(argv) else (), tuple(notes)


def _free(port: int, taken: set[int]) -> int:
    wanted = 8000 + port if port < platform_rules.LOWEST_UNPRIVILEGED_PORT else 18000 + port % 1000
    return next(each for each in range(wanted, wanted + 100) if each not in taken)


def _gpu(reference: str, variables: Mapping[str, str], labels: Mapping[str, str], size_bytes: int) -> tuple[int, str]:
    """Gigabytes of memory that a GPU should have, and why."""
    told = " ".join((reference, *labels.keys(), *map(str, labels.values())))
    cuda = next((variables[name] for name in _GPU_VARIABLES if variables.get(name)), "")
    if _LARGE_MODEL.search(told):
        return _LARGE_GB, "its name or labels speak of a large model"
    if cuda or any("nvidia" in label.lower() for label in labels):
        kind = f"it has CUDA {cuda}" if cuda else "its labels are NVIDIA's"
        return (_USUAL_GB, kind) if size_bytes < 10 * _GIB else (_LARGE_GB, f"{kind} and is large")
    return _LEAST_GB, "nothing in it speaks of a GPU: the least that the platform takes"
