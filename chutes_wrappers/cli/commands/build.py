"""``--build M --local``: the wrapped image, built here through the SDK and verified."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import processes
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.image_freshness import check_current
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.modules.name_checks import check_names
from chutes_wrappers.host.sdk_command import sdk_argv
from chutes_wrappers.host.staging import Stage, staged
from chutes_wrappers.host.verification import verify_image

_STEP = re.compile(r"^(Step \d+/\d+ :|#\d+ \[|(#\d+ [\d.]+ )?chutes-wrappers: )")
_VARIABLE = re.compile(r"^((?:Step|STEP) \d+/\d+ ?: ENV [^\s=]+[=\s]).*")
_STEP_CONTAINER = re.compile(r" ---> Running in ([0-9a-f]{12})")


def build(module: str, *, debug: bool) -> int:
    """Build and verify the wrapped image of ``module``; returns 0 only for an image that passed every check."""
    facts, username = module_preparation.facts(module), module_preparation.username()
    check_names(facts, username)
    if shutil.which("docker") is None:
        raise EngineUnavailable(
            "the SDK builds with the docker command, which is not on PATH", next_step="install Docker's command line"
        )
    engine = connect()
    manifest = module_preparation.manifest(facts, engine)
    with staged(facts, manifest, username=username) as stage:
        outside = describe_outside(stage, output.report)
        module_preparation.check_for_local_use(facts, outside, username)
        image = f"{outside['image']['name']}:{outside['image']['tag']}"
        with _without_leftovers(engine) as watched:
            seconds = _build(stage, image, watched, debug=debug)
        output.success(f"built {image} in {seconds:.0f} s")
        output.heading(f"Verifying {image} as the platform would run it")
        check_current(engine, image, facts, manifest, build=f"{NAMES.deploy} --build {module} --local")
        verify_image(engine, image, outside, stage.module, manifest.image, output.report)
    output.success(f"{image} is ready with {len(outside['cords'])} cords")
    output.report(f"Next: {NAMES.deploy} --run-docker {module}")
    return 0


def is_step(line: str) -> bool:
    """Whether a line of a build begins a step."""
    return bool(_STEP.match(line))


def without_values(line: str) -> str:
    """A line of a build that does not show what a variable of the image is set to, which may be nobody else's business."""
    return _VARIABLE.sub(r"\1…", line)


@contextlib.contextmanager
def _without_leftovers(engine: DockerEngine) -> Iterator[Callable[[str], None]]:
    """Watches a build's lines; when it fails, the container of its last step goes, which the legacy builder keeps."""
    last: list[str] = []

    def watch(line: str) -> None:
        if match := _STEP_CONTAINER.match(line):
            last[:] = [match[1]]

    try:
        yield watch
    except BaseException:
        for container in last:
            engine.remove_build_step(container)
        raise


def _build(stage: Stage, image: str, watch: Callable[[str], None], *, debug: bool) -> float:
    argv = sdk_argv("build", stage.reference, "--local", *(["--debug"] if debug else []))
    title = f"Building {image} (the first build takes a minute or two; later ones only redo what changed)"
    with output.Progress(title, verbose=debug, important=is_step) as progress:

        def see(line: str) -> None:
            watch(line)
            progress.line(without_values(line))

        code = processes.stream(argv, environment=stage.environment, directory=stage.folder, on_line=see)
    if code != 0:
        raise WrapperError(
            f"the build failed with exit code {code}",
            where=image,
            evidence=progress.tail,
            next_step="correct what the lines above name; --debug shows the whole build",
        )
    return progress.seconds
