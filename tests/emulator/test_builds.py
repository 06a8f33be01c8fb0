"""Builds: one at a time, with a log that can be followed, and always finished."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.base_images import NEWER_FORGE, describe_forges
from chutes_wrappers.core.overruled_rules import VARIABLE
from chutes_wrappers.core.platform_checks import compute_image_id
from chutes_wrappers.emulator.builds import NOT_BUILT, Builds
from chutes_wrappers.emulator.state import State
from chutes_wrappers.emulator.tables.image_table import Image, Upload
from chutes_wrappers.host.forge_stages import STAGES, describe_unknown_steps
from tests.emulator.api.client import make_zip
from tests.emulator.scripted_builder import ScriptedBuilder

BOTH = describe_forges(())
REFUSED = "Dockerfile FROM targets must use parachutes/* base images, got: vendor/app:1"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path) as opened:
        yield opened


def submit_image(
    state: State, tag: str = "v1", context: bytes | None = None, dockerfile: str = "FROM scratch"
) -> Image:
    user = (
        state.users.find_by_name("tester")
        or state.users.add(username="tester", hotkey="h", coldkey="c", balance=0, permissions=0)[0]
    )
    image = Image(
        image_id=compute_image_id("tester", "My.Case", tag),
        user_id=user.user_id,
        name="My.Case",
        tag=tag,
        readme="",
        public=False,
        logo_id=None,
        status=platform_rules.IMAGE_PENDING,
        reference=None,
        sdk_version=platform_rules.PLATFORM_SDK_VERSION,
        created_at=0,
    )
    packed = make_zip(**{"data.txt": "data", "Dockerfile": "FROM another"}) if context is None else context
    state.images.add(image, Upload(dockerfile=dockerfile, build_context=packed))
    return image


def read_image(state: State, image: Image) -> Image:
    record = state.images.find_by_id(image.image_id)
    assert record is not None
    return record


async def follow_log(builds: Builds, image: Image, after: int = 0) -> list[str]:
    return [line.line async for line in builds.follow(image.image_id, after)]


async def test_a_log_is_followed_until_the_image_is_built(state: State) -> None:
    builder = ScriptedBuilder()
    with Builds(state, builder) as builds:
        image, second = submit_image(state), submit_image(state, "v2")
        builds.submit(image.image_id)
        builds.submit(second.image_id)
        following = asyncio.create_task(follow_log(builds, image))
        assert await asyncio.to_thread(builder.has_started.wait, 20)
        assert (read_image(state, image).status, read_image(state, second).status) == ("building", "pending build")
        builder.go.set()
        stages = [f"chutes-wrappers: forge: {stage.name}" for stage in STAGES]
        end = [*stages, f"chutes-wrappers: {describe_unknown_steps()}", "built and pushed"]
        assert await following == [BOTH, "Step 1/2", "Step 2/2", *end]
        assert await follow_log(builds, image, after=2) == ["Step 2/2", *end]
        await follow_log(builds, second)
        assert read_image(state, second).is_built
    built = read_image(state, image)
    assert built.reference == f"{builder.references[0]}-forge"
    assert built.reference == f"chutes-emulator/tester-my-case:v1-{state.identity}-{image.image_id[:8]}-forge"
    assert builder.references[0] != builder.references[1]


async def test_the_uploaded_context_is_built_unchanged(state: State) -> None:
    builder = ScriptedBuilder()
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        await follow_log(builds, image)
    assert builder.files == {"data.txt": "data", "Dockerfile": "FROM scratch"}


async def test_of_an_image_only_the_result_of_the_forges_stages_remains(state: State) -> None:
    builder = ScriptedBuilder()
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        await follow_log(builds, image)
    (reference,) = builder.references
    forged = f"{reference}-forge"
    assert builder.stage_builds == [(forged, True), (forged, False)]
    assert (builder.published, builder.removed) == ([forged], [reference])
    assert read_image(state, image).reference == forged


@pytest.mark.parametrize(
    ("stage", "status", "reason"),
    [
        ("SDK installation", "error: Failed to install chutes library into image!", "keep pip on PATH for user chutes"),
        ("inspection", "error: the forge's stage 'inspection' failed", "glibc 2.34"),
    ],
)
async def test_a_failed_stage_is_named_and_leaves_no_image(state: State, stage: str, status: str, reason: str) -> None:
    builder = ScriptedBuilder(failing_stage=stage)
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        *_, explanation, last = await follow_log(builds, image)
    assert last == read_image(state, image).status == status
    assert f"the forge would fail at its stage '{stage}'" in explanation
    assert reason in explanation
    (reference,) = builder.references
    assert (builder.published, builder.removed) == ([], [f"{reference}-forge", reference])
    assert read_image(state, image).reference is None


# With an id, because a zip contains the time: workers that collect in different seconds would collect different tests.
@pytest.mark.parametrize("context", [b"", b"no zip", make_zip(a="b")[:-30]], ids=["empty", "no zip", "half a zip"])
async def test_an_invalid_zip_fails_the_build(state: State, context: bytes) -> None:
    with Builds(state, ScriptedBuilder()) as builds:
        image = submit_image(state, context=context)
        builds.submit(image.image_id)
        await follow_log(builds, image)
    assert read_image(state, image).status.startswith("error: cannot unpack the build context")


async def test_a_failed_build_has_a_reason(state: State) -> None:
    builder = ScriptedBuilder("the build failed with exit code 1: no such package")
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        assert (await follow_log(builds, image))[-1] == read_image(state, image).status
    failed = read_image(state, image)
    assert failed.status == "error: the build failed with exit code 1: no such package"
    assert failed.reference is None


async def test_close_ends_running_and_waiting_builds(state: State) -> None:
    builder = ScriptedBuilder()
    builds = Builds(state, builder)
    image, waiting = submit_image(state), submit_image(state, "v2")
    builds.submit(image.image_id)
    builds.submit(waiting.image_id)
    following = asyncio.create_task(follow_log(builds, waiting))
    assert await asyncio.to_thread(builder.has_started.wait, 20)
    await asyncio.to_thread(builds.close)
    interrupted = "error: the emulator stopped while it was being built"
    assert (read_image(state, image).status, read_image(state, waiting).status) == (interrupted, interrupted)
    assert await following == []
    assert len(builder.references) == 1


async def test_without_a_builder_the_log_reports_that_nothing_was_built(state: State) -> None:
    with Builds(state, None) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        assert await follow_log(builds, image) == [BOTH, NOT_BUILT, "built and pushed"]
    assert read_image(state, image).reference is None


def test_a_deleted_image_is_removed_from_the_engine(state: State) -> None:
    builder = ScriptedBuilder()
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submit_image(state)
        builds.submit(image.image_id)
        asyncio.run(follow_log(builds, image))
        built = read_image(state, image)
        state.images.remove(image.image_id)
        builds.remove(built)
    assert builder.removed[-1] == built.reference


async def build_on(state: State, dockerfile: str, **options: Any) -> tuple[Image, list[str]]:
    """Build without a builder; return the image and its log."""
    with Builds(state, None, **options) as builds:
        image = submit_image(state, dockerfile=dockerfile)
        builds.submit(image.image_id)
        log = await follow_log(builds, image)
    return read_image(state, image), log


async def test_the_log_says_what_each_forge_would_do(state: State) -> None:
    image, log = await build_on(state, "FROM vendor/app:1")
    assert image.is_built
    assert log[0] == f"the older builder of the platform takes this base; the newer would refuse: error: {REFUSED}"


async def test_the_newer_forge_refuses_another_base_in_the_platforms_words(state: State) -> None:
    image, log = await build_on(state, "ARG A\nFROM vendor/app:1", forge=NEWER_FORGE)
    assert (image.status, log[-1], image.reference) == (f"error: {REFUSED}", f"error: {REFUSED}", None)


async def test_the_newer_forge_takes_the_platforms_own_base(state: State) -> None:
    image, log = await build_on(state, "FROM parachutes/python:3.12", forge=NEWER_FORGE)
    assert (image.is_built, log[0]) == (True, BOTH)


async def test_the_newer_forge_takes_what_the_user_overruled(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "forge-base")
    image, _ = await build_on(state, "FROM vendor/app:1", forge=NEWER_FORGE)
    assert image.is_built
