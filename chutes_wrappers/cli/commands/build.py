"""``--build M --local``: the wrapped image, built here through the SDK and verified."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.core.errors import EngineUnavailable, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.emulator.builder import DockerBuilder
from chutes_wrappers.host import processes
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.forge_stages import (
    build_forge_image,
    describe_unknown_steps,
    find_stage,
    make_forge_reference,
)
from chutes_wrappers.host.image_freshness import check_image_freshness
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.name_checks import check_names
from chutes_wrappers.host.sdk_command import build_sdk_argv
from chutes_wrappers.host.staging import Stage, create_stage
from chutes_wrappers.host.verification import verify_image

_STEP = re.compile(r"^(Step \d+/\d+ :|#\d+ \[|(#\d+ [\d.]+ )?chutes-wrappers: )")
_VARIABLE = re.compile(r"^((?:Step|STEP) \d+/\d+ ?: ENV [^\s=]+[=\s]).*")
# On the images of the forge's stages. Its value is the user's image.
_FORGE_LABEL = "chutes-wrappers.forge"
_STEP_CONTAINER = re.compile(r" ---> Running in ([0-9a-f]{12})")


def build(module: str, *, debug: bool) -> int:
    """Build and verify the wrapped image of ``module``; return 0 only for an image that passed every check."""
    facts, username = module_preparation.read_facts(module), module_preparation.resolve_username()
    check_names(facts, username)
    if shutil.which("docker") is None:
        raise EngineUnavailable(
            "the SDK builds with the docker command, which is not on PATH", next_step="install Docker's command line"
        )
    engine = connect()
    manifest = module_preparation.ensure_manifest(facts, engine)
    with create_stage(facts, manifest, username=username) as stage:
        definition = describe_staged_module(stage, output.report)
        owner = module_preparation.select_owner(definition, username)
        module_preparation.check_for_local_use(facts, definition, owner)
        image = f"{definition['image']['name']}:{definition['image']['tag']}"
        with _remove_step_container_on_failure(engine) as watch_line:
            seconds = _run_build(stage, image, watch_line, debug=debug)
        output.success(f"built {image} in {seconds:.0f} s")
        check_image_freshness(engine, image, facts, manifest, build=f"{NAMES.deploy} --build {module} --local")
        forge_image = _build_forge_image(image, debug=debug)
        output.print_heading(f"Verifying {forge_image} as the platform would run it")
        verify_image(engine, forge_image, definition, stage.module, manifest.image, output.report)
    output.success(f"{image} is ready with {len(definition['cords'])} cords")
    output.report(f"{forge_image} is only for checks on this machine. Remove it with: docker image rm {forge_image}")
    output.report(f"Next: {NAMES.deploy} --run-docker {module}")
    return 0


def is_step(line: str) -> bool:
    """Return whether a line of a build starts a step."""
    return bool(_STEP.match(line))


def mask_variable_values(line: str) -> str:
    """Return a line of a build without the value of an image's variable, which may be secret."""
    return _VARIABLE.sub(r"\1…", line)


@contextlib.contextmanager
def _remove_step_container_on_failure(engine: DockerEngine) -> Iterator[Callable[[str], None]]:
    """Yield a function that reads a build's lines. If the build fails, remove its last container: the legacy builder keeps it."""
    step_containers: list[str] = []

    def watch(line: str) -> None:
        if match := _STEP_CONTAINER.match(line):
            step_containers[:] = [match[1]]

    try:
        yield watch
    except BaseException:
        for container in step_containers:
            engine.remove_build_step(container)
        raise


def _build_forge_image(image: str, *, debug: bool) -> str:
    """Build the forge's stages on ``image`` and return the name of the result, which does not exist after a failure."""
    builder = DockerBuilder(f"{_FORGE_LABEL}={image}")
    title = f"Building the forge's stages on {image}"
    try:
        with output.Progress(title, verbose=debug, is_important=lambda line: find_stage(line) is not None) as progress:
            reference = build_forge_image(image, builder.build_stage, progress.add_line)
    except BaseException:
        builder.remove(make_forge_reference(image))
        raise
    builder.publish(reference, output.report)
    output.success(f"the forge's stages passed in {progress.seconds:.0f} s: {reference}")
    output.report(describe_unknown_steps())
    return reference


def _run_build(stage: Stage, image: str, watch_line: Callable[[str], None], *, debug: bool) -> float:
    argv = build_sdk_argv("build", stage.reference, "--local", *(["--debug"] if debug else []))
    title = f"Building {image} (the first build takes a minute or two; later builds only repeat what changed)"
    with output.Progress(title, verbose=debug, is_important=is_step) as progress:

        def handle_line(line: str) -> None:
            watch_line(line)
            progress.add_line(mask_variable_values(line))

        code = processes.stream(argv, environment=stage.environment, directory=stage.folder, on_line=handle_line)
    if code != 0:
        raise WrapperError(
            f"the build failed with exit code {code}",
            where=image,
            evidence=progress.tail,
            next_step="correct what the lines above report; --debug shows the whole build",
        )
    return progress.seconds
