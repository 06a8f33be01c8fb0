"""The stages that the forge builds on a user's image, as far as they are public (PLATFORM.md, section 1, "The forge's own stages").

They are built as a second image, ``NAME:TAG-forge``; the user's own stays as the SDK built it.
"""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import remove_escape_sequences

OnLine = Callable[[str], None]
# Builds the Dockerfile of a folder as a reference, with or without a network. Raises WrapperError. Blocks.
BuildStage = Callable[[Path, str, bool, OnLine], None]
# What the platform also does, in the order of its stages. Nothing public says how.
UNKNOWN_STEPS = ("the index of every file", "the security scan", "the signature")
_FOLDERS = "/usr/local/lib /usr/local/bin /usr/local/share /usr/local/share/man"
# Of the lines that this toolkit adds to a build's log, as the recipe's.
LOG_PREFIX = "chutes-wrappers: "
_MARKER = f"{LOG_PREFIX}forge: "
# The second alternative is BuildKit's.
_STAGE_LINE = re.compile(rf"(?:#\d+ [\d.]+ )?{_MARKER}([\w ]+)\Z")
_MAX_EVIDENCE_LINES = 15
# What Docker's older builder, BuildKit and buildah print when a command of the Dockerfile fails.
_FAILED_COMMAND = re.compile(r"returned a non-zero code: \d|did not complete successfully: exit code|exit status \d")
# The SDK's folder, in which the forge finds its libraries. Isolated: the working directory may have a folder of that name.
_SDK_FOLDER = """"$(python -IB -c 'from importlib.util import find_spec; print(*find_spec("chutes").submodule_search_locations)')\""""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: what it is called here, its shell command, and what to do when it fails.

    ``status`` is what the platform's status of the image says then after ``error: ``, where it is known.
    """

    name: str
    command: str
    fix: str
    status: str = ""


AS_ROOT = (
    Stage(
        name="system folders",
        command=f"{{ usermod -aG root {platform_rules.INSTANCE_USER} || true; }} && chmod g+rwx {_FOLDERS}",
        fix=f"keep all of {_FOLDERS}: the recipe creates them, so a later directive of the module has removed one",
    ),
    Stage(
        name="bytecode removal",
        # Without other file systems: /proc and /sys.
        command=r"find / -xdev \( -name '*.pyc' ! -type d -o -name __pycache__ -type d -prune \) -exec rm -rf {} +",
        fix="keep the programs find and rm: a later directive of the module has removed one",
    ),
)
AS_INSTANCE_USER = (
    Stage(
        name="SDK installation",
        command=f"pip install chutes=={platform_rules.PLATFORM_SDK_VERSION}",
        fix=f"keep pip on PATH for user {platform_rules.INSTANCE_USER}, and its environment writable for that user. "
        "A later directive of the module, or a package index that cannot be reached, prevents it",
        status=platform_rules.SDK_NOT_INSTALLED_STATUS,
    ),
    Stage(
        name="cleanup of the uv cache",
        command="uv cache clean --force",
        fix=f"keep uv on PATH for user {platform_rules.INSTANCE_USER}, and its cache folder accessible",
        status=platform_rules.SDK_NOT_INSTALLED_STATUS,
    ),
    Stage(
        name="guard library",
        command=f"cp {_SDK_FOLDER}/chutes-aegis.so {platform_rules.GUARD_LIBRARY}",
        fix=f"keep user {platform_rules.INSTANCE_USER} in group root, and /usr/local/lib in group root too: "
        "the recipe sets both, so a later directive of the module has changed one",
        status=platform_rules.SDK_NOT_INSTALLED_STATUS,
    ),
)
INSPECTION = Stage(
    name="inspection",
    command="chutes run does_not_exist:chute --generate-inspecto-hash",
    fix="use a base image with glibc {}.{} or later and OpenSSL 3, and a Python {}.{} to {}.{} that is not Conda's: ".format(
        *platform_rules.MIN_GLIBC, *platform_rules.MIN_PYTHON, *platform_rules.MAX_PYTHON
    )
    + "the SDK's native libraries do not load (exit code 139 is a crash)",
)
BYTECODE_MANIFEST = Stage(
    name="bytecode manifest",
    # Files that do not compile are left out (SDK generate_manifest_driver.py).
    command=f"sdk={_SDK_FOLDER} && python $sdk/generate_manifest_driver.py --lib $sdk/chutes-bcm.so "
    f"--output {platform_rules.BYTECODE_MANIFEST}",
    fix="rename or remove the Python file that the lines above name. Every .py of the Python path, /app, /usr/lib and "
    "/usr/local/lib is compiled, and its path must be UTF-8",
)
STAGES = (*AS_ROOT, *AS_INSTANCE_USER, INSPECTION, BYTECODE_MANIFEST)


class StageFailed(WrapperError):
    """A stage failed: the platform would not accept the image. ``status`` is the image's status then, after ``error: ``."""

    def __init__(self, stage: Stage, image: str, evidence: str) -> None:
        status = f", with the status {platform_rules.IMAGE_FAILED}{stage.status}" if stage.status else ""
        super().__init__(
            f"the forge would fail at its stage {stage.name!r}{status}",
            where=image,
            evidence=evidence,
            next_step=stage.fix,
        )
        self.status = stage.status or f"the forge's stage {stage.name!r} failed"


def make_forge_reference(image: str) -> str:
    """Return the name of ``image`` after the forge's stages."""
    return f"{image}-forge"


def describe_unknown_steps() -> str:
    """Return the sentence that says what was not run."""
    return (
        f"{len(UNKNOWN_STEPS)} of the forge's steps are not public and were not run: "
        f"{', '.join(UNKNOWN_STEPS[:-1])} and {UNKNOWN_STEPS[-1]}"
    )


def find_stage(line: str) -> Stage | None:
    """Return the stage that starts with a line of a build, if one does."""
    match = _STAGE_LINE.match(remove_escape_sequences(line))
    return next((stage for stage in STAGES if match and stage.name == match[1]), None)


def make_dockerfiles(image: str) -> tuple[str, str]:
    """Return the two Dockerfiles of the stages: the first is built with a network, the second without.

    Both are built as ``make_forge_reference(image)``, with which the second begins.
    """
    first = [
        f"FROM {image}",
        "USER root",
        # The forge then sets it to the guard library, and writes /etc/ld.so.preload. Not here: the verdict comes from a run
        # without the guard, which real hosts may load in another way.
        "ENV LD_PRELOAD=",
        *_start_stages(AS_ROOT),
        f"USER {platform_rules.INSTANCE_USER}",
        *_start_stages(AS_INSTANCE_USER),
        f"WORKDIR {platform_rules.INSTANCE_WORKDIR}",
    ]
    second = [
        f"FROM {make_forge_reference(image)}",
        *_start_stages([INSPECTION]),
        "USER root",
        *_start_stages([BYTECODE_MANIFEST]),
        # The forge writes its own file over a vendor's.
        "RUN rm -f /etc/ld.so.preload",
        f"USER {platform_rules.INSTANCE_USER}",
        "ENTRYPOINT []",
    ]
    return "\n".join([*first, ""]), "\n".join([*second, ""])


def _start_stages(stages: Sequence[Stage]) -> list[str]:
    """Return the instructions of some stages: one layer, and a line of output at the start of each."""
    commands = " && ".join(f"echo '{_MARKER}{stage.name}' && {stage.command}" for stage in stages)
    # An ARG is a variable of the build, and not of the image.
    return ["ARG PYTHONDONTWRITEBYTECODE=1", f"RUN {commands}"]


def build_forge_image(image: str, build: BuildStage, on_line: OnLine) -> str:
    """Build the forge's stages on ``image``, and return the name of the result. Blocks.

    Raises StageFailed when the command of a stage fails, and what ``build`` raises when it fails by itself: without its engine.
    """
    reference = make_forge_reference(image)
    for dockerfile, has_network in zip(make_dockerfiles(image), (True, False), strict=True):
        log = _StageLog(on_line)
        with tempfile.TemporaryDirectory(prefix="chutes-forge-") as folder:
            (Path(folder) / "Dockerfile").write_text(dockerfile, encoding="utf-8")
            try:
                build(Path(folder), reference, has_network, log.add_line)
            except WrapperError as error:
                if log.stage is None or not log.has_failed_command:
                    raise
                raise StageFailed(log.stage, image, "\n".join(log.lines)) from error
    return reference


class _StageLog:
    """The last lines of a build, and the stage that they belong to."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self.stage: Stage | None = None
        self.has_failed_command = False
        self.lines: deque[str] = deque(maxlen=_MAX_EVIDENCE_LINES)

    def add_line(self, line: str) -> None:
        if stage := find_stage(line):
            self.stage = stage
            self.lines.clear()
        self.has_failed_command = self.has_failed_command or _FAILED_COMMAND.search(line) is not None
        self.lines.append(line)
        self._on_line(line)
