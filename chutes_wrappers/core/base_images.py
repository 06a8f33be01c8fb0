"""The base images of a Dockerfile, and which of the platform's two forges builds on them. Pure.

PLATFORM.md, section 1, "Two forges": the older one takes every base, the newer one only the platform's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.program import NAMES

# The names of the API's source: forge.py and remote_forge.py.
Forge = Literal["local", "remote"]
OLDER_FORGE: Forge = "local"
NEWER_FORGE: Forge = "remote"

_ESCAPE_DIRECTIVE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*\Z", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")
_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
# Only these instructions have heredocs. Each is a word of its own; inside of quotes, "<<" is the shell's.
_HEREDOC_INSTRUCTION = re.compile(r"\s*(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s", re.IGNORECASE)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
_HEREDOC = re.compile(r"""\d*<<(-?)(["']?)([^<"'\s]+)\2""")
_SCRATCH = "scratch"
# The class of the newer forge's refusals: its exact words may change.
_REFUSAL = re.compile(
    r"(?=.*\bFROM\b)(?=.*\b(?:must|only|has to|have to|allowed|accepted)\b).*"
    + re.escape(platform_rules.FORGE_BASE_PREFIX),
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class BaseImage:
    """The target of a FROM as it is written, and the name that AS gives the stage; empty without one."""

    target: str
    stage: str = ""


def parse_base_images(dockerfile: str) -> Iterator[BaseImage]:
    """Yield the target of each FROM of a Dockerfile, as Docker reads it: with continuations, comments and heredocs."""
    for instruction in _join_instructions(dockerfile):
        if match := _FROM.match(instruction):
            yield BaseImage(match[1], match[2] or "")


def list_pulled_images(dockerfile: str) -> tuple[str, ...]:
    """Return the images that a build pulls: each FROM that is neither ``scratch`` nor an earlier stage."""
    stages = {_SCRATCH}
    pulled = []
    for base in parse_base_images(dockerfile):
        if base.target.lower() not in stages:
            pulled.append(base.target)
        stages |= {base.stage.lower()} - {""}
    return tuple(pulled)


def list_refused_targets(targets: Iterable[str]) -> tuple[str, ...]:
    """Return which targets of FROM the newer forge refuses, each once: all but ``parachutes/…`` and ``scratch``.

    It compares the text, so that it also refuses a registry's host, an ``$ARG`` and an earlier stage.
    """
    return tuple(each for each in dict.fromkeys(targets) if each != _SCRATCH and not _is_platform_base(each))


def list_refused_bases(dockerfile: str) -> tuple[str, ...]:
    """Return what the newer forge refuses as a FROM in a Dockerfile (``list_refused_targets``)."""
    return list_refused_targets(base.target for base in parse_base_images(dockerfile))


def format_refusal(refused: Iterable[str]) -> str:
    """Return the newer forge's reason for the bases that it refuses; it follows "error: " in the image's status."""
    return platform_rules.FORGE_BASE_MESSAGE + ", ".join(refused)


def describe_forges(refused: Iterable[str]) -> str:
    """Return one line: what each forge would do with an image, of whose bases the newer one refuses ``refused``."""
    targets = tuple(refused)
    if not targets:
        return "both builders of the platform take this base"
    refusal = platform_rules.IMAGE_FAILED + format_refusal(targets)
    return f"the older builder of the platform takes this base; the newer would refuse: {refusal}"


def build_refusal_step(reference: str) -> str:
    """Return what to do about an image that the newer forge has refused."""
    return (
        f"on the platform, run {NAMES.deploy} --delete-image {reference}, since the failed build blocks the name and tag. The newer builder "
        "takes only the platform's own images as base. Build the service on one of them, such as "
        f"{platform_rules.FORGE_BASE_EXAMPLE} (Ubuntu 22.04 with CUDA, Python 3.12, uv): see Two builders in the README"
    )


def is_refusal(status: str) -> bool:
    """Return whether an image's status is the newer forge's refusal of its base."""
    failed = platform_rules.IMAGE_FAILED.rstrip(": ")
    return status.startswith(failed) and _REFUSAL.match(status) is not None


def _is_platform_base(target: str) -> bool:
    return target.startswith(platform_rules.FORGE_BASE_PREFIX) and target != platform_rules.FORGE_BASE_PREFIX


def _join_instructions(dockerfile: str) -> Iterator[str]:
    """Yield each instruction in one line, without comments and the bodies of heredocs."""
    lines = [line.rstrip("\r") for line in dockerfile.removeprefix("\ufeff").split("\n")]
    escape = _read_escape(lines)
    instruction, position = "", 0
    while position < len(lines):
        line = lines[position]
        position += 1
        text = line.strip()
        if text.startswith("#") or (instruction and not text):
            continue  # Docker ignores both, also between the lines of one instruction
        instruction += line
        if text.endswith(escape):
            instruction = instruction.rstrip().removesuffix(escape)
            continue
        yield instruction
        position = _skip_heredocs(instruction, lines, position)
        instruction = ""
    yield instruction


def _read_escape(lines: Iterable[str]) -> str:
    for line in lines:
        if match := _ESCAPE_DIRECTIVE.match(line.strip()):
            return match[1]
        if not _DIRECTIVE.match(line.strip()):
            break
    return "\\"


def _skip_heredocs(instruction: str, lines: Sequence[str], position: int) -> int:
    """Return the position after the heredocs of an instruction, which begin at ``position``."""
    if not _HEREDOC_INSTRUCTION.match(instruction):
        return position
    for match in filter(None, map(_HEREDOC.fullmatch, _WORD.findall(instruction))):
        rest = [line.lstrip("\t") if match[1] else line for line in lines[position:]]
        if match[3] in rest:  # without its end it is not a heredoc, and a FROM below counts
            position += rest.index(match[3]) + 1
    return position
