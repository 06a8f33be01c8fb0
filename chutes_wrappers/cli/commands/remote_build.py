"""``--build M`` on the platform: uploaded by the SDK, followed to its end, and built only when the API says so."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import module_preparation, output, sdk_upload
from chutes_wrappers.cli.commands.build import is_step, without_values
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IMAGE_BUILT
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused, PlatformUnreachable
from chutes_wrappers.host.platform_api.lookup import find_image, image_path
from chutes_wrappers.host.platform_api.objects import ImageInfo
from chutes_wrappers.host.preflight.account import has_failed, logo_problems, upload_problems
from chutes_wrappers.host.staging import Stage, staged

_LOOK_EVERY_S = 2.0
_SETTLING_S = 0.2
_NOT_FOUND = 404
_REJOINS = 5
_EVENT = "data: "


def build_remotely(module: str, options: UploadOptions) -> int:
    """Upload the image of ``module``, or join its build, and wait; 0 once the API says that it is built."""
    facts = module_preparation.facts(module)
    manifest = sdk_upload.manifest(facts)
    with (
        sdk_upload.connected() as (api, user),
        staged(facts, manifest, username=user.username) as stage,
    ):
        described = describe_outside(stage, output.report)
        reference = sdk_upload.image_reference(described)
        known = find_image(api, reference)
        joins = known is not None and known.status != IMAGE_BUILT and not has_failed(known)
        more = [] if joins else [*upload_problems(user, known, module), *logo_problems(options.logo)]
        module_preparation.check_with_platform_rules(facts, described, user.username, more)
        with output.Progress(
            f"Building {reference} on the platform", verbose=options.debug, important=is_step
        ) as progress:
            if joins:
                output.report("it is being built already: following that")
            else:
                _upload(api, stage, facts.manifest_path, reference, options, progress)
            try:
                built = followed(api, reference, progress, f"{NAMES.deploy} --build {module}")
            except KeyboardInterrupt:
                output.warning(f"the build goes on at the platform; {NAMES.deploy} --build {module} joins it again")
                raise
    if options.as_json:
        output.result(json.dumps({"image_id": built.image_id, "image": built.reference, "status": built.status}))
    output.success(f"{reference} is {built.status} after {progress.seconds:.0f} s")
    output.report(f"Next: {NAMES.deploy} --deploy {module}")
    return 0


def upload(
    api: PlatformApi,
    stage: Stage,
    reference: str,
    progress: output.Progress,
    *,
    arguments: list[str],
    variables: Mapping[str, str],
) -> ImageInfo:
    """Let the SDK upload the image of ``stage``; the image as the API then knows it, WrapperError when it does not."""
    said = sdk_upload.run(stage, ["build", stage.reference, *arguments], progress, variables)
    found = find_image(api, reference)
    if found is None:
        raise sdk_upload.refused(f"the image {reference} was not taken", said)
    return found


def followed(api: PlatformApi, reference: str, progress: output.Progress, again: str) -> ImageInfo:
    """Show a build's log until it is over; the built image. WrapperError says why it is none; ``again`` joins it anew."""
    offset: dict[str, Any] = {}
    lost = 0
    while True:
        found, seen = find_image(api, reference), dict(offset)
        if found is None:
            raise WrapperError(f"the image {reference} is gone", next_step=f"build it again: {again}")
        if found.status == IMAGE_BUILT:
            return found
        lost = lost + 1 if not _show_log(api, reference, progress, offset) else 0
        if has_failed(found):
            raise _failed(found, progress)
        if lost > _REJOINS:
            raise WrapperError(
                f"the log of {reference} breaks off again and again",
                next_step=f"the build goes on at the platform; {again} joins it again",
            )
        progress.line(found.status)
        time.sleep(_SETTLING_S if offset != seen else _LOOK_EVERY_S)


def _upload(
    api: PlatformApi, stage: Stage, manifest: Path, reference: str, options: UploadOptions, progress: output.Progress
) -> None:
    sdk_upload.show_command(manifest, "build", stage.reference, *options.arguments)
    found = upload(api, stage, reference, progress, arguments=options.arguments, variables={})
    upload_records.remember(found.image_id, stage)


def _show_log(api: PlatformApi, reference: str, progress: output.Progress, offset: dict[str, Any]) -> bool:
    """Show the lines behind ``offset``, which moves on, until the platform ends the log; False when it broke off."""
    try:
        _show_lines(api, reference, progress, offset)
    except PlatformUnreachable:
        return False
    except PlatformRefused as refused:
        if refused.status != _NOT_FOUND:  # there may be none before the build has begun
            raise
    return True


def _show_lines(api: PlatformApi, reference: str, progress: output.Progress, offset: dict[str, Any]) -> None:
    told = api.lines(
        f"{image_path(reference)}/logs", f"reading the build of {reference}", purpose="images", params=dict(offset)
    )
    for line in told:
        if not line.startswith(_EVENT):
            if not offset and line != "DONE":
                progress.line(without_values(line))  # the whole text of a build that is over
            continue
        try:
            event = json.loads(line[len(_EVENT) :])
            offset["offset"] = event["offset"]
            log = event["log"]
        except (ValueError, KeyError, TypeError):
            continue
        progress.line(without_values(str(log.get("log", "") if isinstance(log, dict) else log)))


def _failed(image: ImageInfo, progress: output.Progress) -> WrapperError:
    return WrapperError(
        f"the build of {image.reference} failed: {image.status}",
        where=image.reference,
        evidence=progress.tail,
        next_step=f"correct what the lines above name, then --delete-image {image.reference}, and build again",
    )
