"""Builds: in turn, with a log that can be followed, and always with an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.builds import NOT_BUILT, Builds, platform_dockerfile, sdk_version
from chutes_wrappers.emulator.state import State
from chutes_wrappers.emulator.tables.image_table import Image, Upload, image_id_of
from tests.emulator.api.client import zipped
from tests.emulator.scripted_builder import ScriptedBuilder


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path) as opened:
        yield opened


def submitted(state: State, tag: str = "v1", context: bytes | None = None) -> Image:
    user = (
        state.users.by_name("tester")
        or state.users.add(username="tester", hotkey="h", coldkey="c", balance=0, permissions=0)[0]
    )
    image = Image(
        image_id=image_id_of("tester", "My.Case", tag),
        user_id=user.user_id,
        name="My.Case",
        tag=tag,
        readme="",
        public=False,
        logo_id=None,
        status=platform_rules.IMAGE_PENDING,
        reference=None,
        sdk_version=sdk_version(),
        created_at=0,
    )
    packed = zipped(**{"data.txt": "data", "Dockerfile": "FROM another"}) if context is None else context
    state.images.add(image, Upload(dockerfile="FROM scratch", build_context=packed))
    return image


def current(state: State, image: Image) -> Image:
    found = state.images.by_id(image.image_id)
    assert found is not None
    return found


async def followed(builds: Builds, image: Image, after: int = 0) -> list[str]:
    return [line.line async for line in builds.follow(image.image_id, after)]


async def test_a_log_is_followed_until_the_image_is_built(state: State) -> None:
    builder = ScriptedBuilder()
    with Builds(state, builder) as builds:
        image, second = submitted(state), submitted(state, "v2")
        builds.submit(image.image_id)
        builds.submit(second.image_id)
        following = asyncio.create_task(followed(builds, image))
        assert await asyncio.to_thread(builder.began.wait, 20)
        assert (current(state, image).status, current(state, second).status) == ("building", "pending build")
        builder.go.set()
        assert await following == ["Step 1/2", "Step 2/2", "built and pushed"]
        assert await followed(builds, image, after=1) == ["Step 2/2", "built and pushed"]
        await followed(builds, second)
        assert current(state, second).is_built
    built = current(state, image)
    assert built.reference == builder.references[0]
    assert built.reference == f"chutes-emulator/tester-my-case:v1-{state.identity}-{image.image_id[:8]}"
    assert builder.references[0] != builder.references[1]


async def test_what_was_uploaded_is_built_with_the_platforms_own_line(state: State) -> None:
    builder = ScriptedBuilder()
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submitted(state)
        builds.submit(image.image_id)
        await followed(builds, image)
    assert builder.files == {"data.txt": "data", "Dockerfile": platform_dockerfile("FROM scratch", sdk_version())}
    assert builder.files["Dockerfile"] == f"FROM scratch\nRUN pip install chutes=={sdk_version()}\n"


# Named, since a zip holds the time: workers that collect in different seconds would see different tests.
@pytest.mark.parametrize("context", [b"", b"no zip", zipped(a="b")[:-30]], ids=["empty", "no zip", "half a zip"])
async def test_a_context_that_is_no_zip_fails_the_build(state: State, context: bytes) -> None:
    with Builds(state, ScriptedBuilder()) as builds:
        image = submitted(state, context=context)
        builds.submit(image.image_id)
        await followed(builds, image)
    assert current(state, image).status.startswith("error: the build context cannot be unpacked")


async def test_a_build_that_fails_says_why(state: State) -> None:
    builder = ScriptedBuilder("the build ended with exit code 1: no such package")
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submitted(state)
        builds.submit(image.image_id)
        assert (await followed(builds, image))[-1] == current(state, image).status
    failed = current(state, image)
    assert failed.status == "error: the build ended with exit code 1: no such package"
    assert failed.reference is None


async def test_closing_ends_what_is_built_and_what_waits(state: State) -> None:
    builder = ScriptedBuilder()
    builds = Builds(state, builder)
    image, waiting = submitted(state), submitted(state, "v2")
    builds.submit(image.image_id)
    builds.submit(waiting.image_id)
    following = asyncio.create_task(followed(builds, waiting))
    assert await asyncio.to_thread(builder.began.wait, 20)
    await asyncio.to_thread(builds.close)
    interrupted = "error: the emulator stopped while it was being built"
    assert (current(state, image).status, current(state, waiting).status) == (interrupted, interrupted)
    assert await following == []
    assert len(builder.references) == 1


async def test_without_a_builder_the_log_says_that_nothing_was_built(state: State) -> None:
    with Builds(state, None) as builds:
        image = submitted(state)
        builds.submit(image.image_id)
        assert await followed(builds, image) == [NOT_BUILT, "built and pushed"]
    assert current(state, image).reference is None


def test_a_deleted_image_leaves_the_engine(state: State) -> None:
    builder = ScriptedBuilder()
    builder.go.set()
    with Builds(state, builder) as builds:
        image = submitted(state)
        builds.submit(image.image_id)
        asyncio.run(followed(builds, image))
        built = current(state, image)
        state.images.remove(image.image_id)
        builds.remove(built)
    assert builder.removed == [built.reference]
