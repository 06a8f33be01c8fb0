"""Builds of uploaded images: one at a time, in the background, as the platform's forge does (PLATFORM.md, section 1)."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from loguru import logger

from chutes_wrappers.core import base_images, platform_checks, platform_rules
from chutes_wrappers.core.base_images import Forge
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator.builder import Builder
from chutes_wrappers.emulator.change_events import ChangeNotifier
from chutes_wrappers.emulator.rejection import raise_unless_overruled
from chutes_wrappers.emulator.state import INTERRUPTED, State
from chutes_wrappers.emulator.tables.image_table import Image, LogLine, Upload
from chutes_wrappers.host.forge_stages import (
    LOG_PREFIX,
    StageFailed,
    build_forge_image,
    describe_unknown_steps,
    make_forge_reference,
)

NOT_BUILT = "The emulator runs without Docker: nothing was built. The image is only recorded as built and pushed."
_DOCKERFILE = "Dockerfile"


def make_reference(image: Image, username: str, identity: str) -> str:
    """Return the name of an image in the local engine. It is unique among emulators."""
    name = platform_checks.build_slug(username, image.name) or "image"
    return f"chutes-emulator/{name}:{image.tag.lower()}-{identity}-{image.image_id[:8]}"


def write_context(folder: Path, upload: Upload) -> None:
    """Write the build context, with the uploaded Dockerfile as it is, into ``folder``.

    Raises WrapperError when the context is not a valid zip.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(upload.build_context)) as archive:
            archive.extractall(folder)
    except (
        zipfile.BadZipFile,
        OSError,
        RuntimeError,
    ) as error:  # RuntimeError: the zip is encrypted, or of an unknown kind
        raise WrapperError(f"cannot unpack the build context: {error}") from error
    (folder / _DOCKERFILE).write_text(upload.dockerfile, encoding="utf-8")


class Builds:
    """Builds the images of ``state`` in one thread. Without a ``builder`` it only records them as built. A context manager.

    ``forge``: which of the platform's two forges takes the images.
    """

    def __init__(self, state: State, builder: Builder | None, forge: Forge = base_images.OLDER_FORGE) -> None:
        self._state = state
        self._forge = forge
        self._builder = builder
        self._notifier = ChangeNotifier()
        self._is_closed = False
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-build")

    def __enter__(self) -> Builds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the current build. It and all queued builds are recorded as failed."""
        self._is_closed = True
        if self._builder is not None:
            self._builder.stop()
        self._executor.shutdown(cancel_futures=True)
        self._state.images.fail_interrupted_builds(INTERRUPTED)
        self._notifier.notify()

    def submit(self, image_id: str) -> None:
        """Queue the build of an image."""
        self._executor.submit(self._run_build, image_id)

    def remove(self, image: Image) -> None:
        """Remove the name of a deleted image from the engine. Blocks."""
        if self._builder is not None and image.reference is not None:
            self._builder.remove(image.reference)

    async def follow(self, image_id: str, after: int = 0) -> AsyncIterator[LogLine]:
        """Yield the lines of a build log after a position, and new ones until the build is finished."""
        with self._notifier.watch() as changed:
            while True:
                changed.clear()
                # Read the image before the log: when its build is finished, the log is complete.
                image = self._state.images.find_by_id(image_id)
                for line in self._state.images.read_log(image_id, after):
                    after = line.position
                    yield line
                if image is None or image.is_build_finished:
                    return
                await changed.wait()

    def _run_build(self, image_id: str) -> None:
        image = self._state.images.find_by_id(image_id)
        if image is None or self._is_closed:
            return
        self._state.images.start_build(image_id)
        logger.info("building the image {}:{}", image.name, image.tag)
        status, reference = platform_rules.IMAGE_BUILT, None
        try:
            reference = self._build_image(image)
        except WrapperError as failure:
            status = platform_rules.IMAGE_FAILED + (INTERRUPTED if self._is_closed else failure.what)
        except Exception as failure:  # noqa: BLE001  # whatever failed, the image's status must change
            logger.exception("cannot build the image {}:{}", image.name, image.tag)
            status = f"{platform_rules.IMAGE_FAILED}the emulator cannot build it: {failure!r}"
        self._log(image_id, status)
        self._state.images.finish_build(image_id, status, reference)
        logger.info("the image {}:{}: {}", image.name, image.tag, status)
        self._notifier.notify()

    def _build_image(self, image: Image) -> str | None:
        owner = self._state.users.find_by_id(image.user_id)
        assert owner is not None
        self._check_bases(image)
        if self._builder is None:
            self._log(image.image_id, NOT_BUILT)
            return None
        reference = make_reference(image, owner.username, self._state.identity)
        report: Callable[[str], None] = lambda line: self._log(image.image_id, line)  # noqa: E731
        with tempfile.TemporaryDirectory(prefix="chutes-emulator-", ignore_cleanup_errors=True) as name:
            write_context(Path(name), self._state.images.read_upload(image.image_id))
            self._builder.build(Path(name), reference, report)
        return self._build_stages(self._builder, reference, report)

    def _build_stages(self, builder: Builder, reference: str, report: Callable[[str], None]) -> str:
        """Build the forge's stages on the user's image, and return the name of what remains: their result."""
        try:
            forge_reference = build_forge_image(reference, builder.build_stage, report)
            builder.publish(forge_reference, report)
        except BaseException as failure:
            builder.remove(make_forge_reference(reference))
            if not isinstance(failure, StageFailed):
                raise
            report(f"{LOG_PREFIX}{failure.what}. Next: {failure.next_step}")
            raise WrapperError(failure.status) from failure
        finally:
            builder.remove(reference)
        report(LOG_PREFIX + describe_unknown_steps())
        return forge_reference

    def _check_bases(self, image: Image) -> None:
        """Log what each forge would do with the base images. Raises WrapperError when the newer one refuses them."""
        refused = base_images.list_refused_bases(self._state.images.read_upload(image.image_id).dockerfile)
        self._log(image.image_id, base_images.describe_forges(refused))
        if refused and self._forge == base_images.NEWER_FORGE:
            raise_unless_overruled("forge-base", WrapperError(base_images.format_refusal(refused)))

    def _log(self, image_id: str, line: str) -> None:
        self._state.images.append_log(image_id, [line])
        self._notifier.notify()
