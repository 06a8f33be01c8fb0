"""``--build M`` on the platform: uploaded by the SDK, followed to its end, and successful only if the API reports it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import module_preparation, output, prompts, sdk_upload
from chutes_wrappers.cli.build_following import find_uploaded_image, follow_build, report_failed_build
from chutes_wrappers.cli.commands.build import is_step
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.overruled_rules import is_overruled
from chutes_wrappers.core.platform_rules import IMAGE_BUILT
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.cuda_version import describe_cuda_concern
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable
from chutes_wrappers.host.platform_api.lookup import find_own_image, list_own_chutes, list_own_images
from chutes_wrappers.host.platform_api.objects import AccountInfo, ImageInfo, parse_chute, parse_image
from chutes_wrappers.host.platform_api.ownership import IMAGE
from chutes_wrappers.host.preflight.account import (
    find_chute_problems,
    find_logo_problems,
    find_upload_problems,
    has_failed,
)
from chutes_wrappers.host.preflight.forges import find_base_problems
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import Stage, create_stage


def build_remotely(module: str, options: UploadOptions) -> int:
    """Upload the image of ``module``, or follow its running build; return 0 once the API reports that it is built.

    A build of the same content that ended while no command followed it is a success too.
    """
    facts = module_preparation.read_facts(module)
    manifest = sdk_upload.require_manifest(facts)
    with (
        sdk_upload.connect_as_owner() as (api, user),
        create_stage(facts, manifest, username=user.username) as stage,
    ):
        definition = describe_staged_module(stage, output.report)
        reference = sdk_upload.build_image_reference(definition)
        content = _hash_upload(api, stage, definition, options)
        existing = find_own_image(api, reference)
        is_same = _compare_with_upload(existing, content)
        is_joined = (
            existing is not None and not has_failed(existing) and (existing.status != IMAGE_BUILT or bool(is_same))
        )
        if manifest.image is not None and (concern := describe_cuda_concern(manifest.image)):
            output.warning(concern)
        if existing is not None and has_failed(existing):
            report_failed_build(api, existing)
        base_problems = [] if is_joined else _find_base_problems(facts, definition)
        problems = [] if is_joined else _find_problems(api, user, existing, module, definition, options)
        module_preparation.check_with_platform_rules(facts, definition, user.username, [*problems, *base_problems])
        if existing is not None and is_joined and existing.status == IMAGE_BUILT:
            return _report_image(existing, "is built already, from the same content", module, options)
        if base_problems:
            _confirm_base(reference, options)
        title = f"Building {reference} on the platform"
        with output.Progress(title, verbose=options.debug, is_important=is_step) as progress:
            if existing is not None:
                _join_build(existing, content, facts, is_same)
            image = existing or _upload_and_remember(
                api, stage, facts.manifest_path, reference, content, options, progress
            )
            built = _follow(api, image, progress, f"{NAMES.deploy} --build {module}")
        upload_records.mark_as_reported(built.image_id)
    return _report_image(built, f"is {built.status} after {progress.seconds:.0f} s", module, options)


def _follow(api: PlatformApi, image: ImageInfo, progress: output.Progress, command: str) -> ImageInfo:
    try:
        return follow_build(api, image, progress, command)
    except (KeyboardInterrupt, PlatformUnreachable, PlatformRequestFailed):
        output.warning(f"the build continues on the platform; {command} follows it again")
        raise


def _compare_with_upload(image: ImageInfo | None, content: str) -> bool | None:
    return upload_records.compare_upload(image.image_id, content, image.created_at) if image is not None else None


def _report_image(image: ImageInfo, state: str, module: str, options: UploadOptions) -> int:
    sdk_upload.check_visibility(
        f"the image {image.reference}, which {state},",
        image.public,
        options.public,
        f"use it as it is, or delete it with {NAMES.deploy} --delete-image {image.reference}, and build again",
    )
    if options.as_json:
        output.print_json({"image_id": image.image_id, "image": image.reference, "status": image.status})
    output.success(f"{image.reference} {state}")
    output.report(f"Next: {NAMES.deploy} --deploy {module}")
    return 0


def _join_build(image: ImageInfo, content: str, facts: ModuleFacts, is_same: bool | None) -> None:
    """Report that a running build is followed, and record it as the build of ``content`` unless its content is known."""
    output.report("the image is being built already: following that build")
    if is_same is None:
        upload_records.save_followed_build(image.image_id, content, image.created_at)
    elif not is_same:
        output.warning(
            f"{facts.path.name}, its manifest or this package changed after that upload: the image has the earlier content"
        )
        output.report_next_step("increase CHUTE_TAG, and build again, if the image needs the change")


def _hash_upload(api: PlatformApi, stage: Stage, definition: Mapping[str, Any], options: UploadOptions) -> str:
    """Return the hash of everything that the image of ``stage`` on this API is made from; "" for an image of the platform."""
    if not (dockerfile := definition["image"].get("dockerfile")):
        return ""
    logo = b""
    if options.logo is not None:
        with contextlib.suppress(OSError):  # reported with the other problems
            logo = options.logo.read_bytes()
    parts = (
        api.url,
        dockerfile,
        upload_records.hash_files(stage),
        str(options.public),
        hashlib.sha256(logo).hexdigest(),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _find_problems(
    api: PlatformApi,
    user: AccountInfo,
    existing: ImageInfo | None,
    module: str,
    definition: Mapping[str, Any],
    options: UploadOptions,
) -> list[Problem]:
    """Return what the account's state makes impossible: the upload, and the deployment afterwards."""
    own_images = [parse_image(record) for record in list_own_images(api)]
    own_chutes = [parse_chute(record) for record in list_own_chutes(api)]
    return [
        *find_upload_problems(user, existing, module, sdk_version=version("chutes"), own_images=own_images),
        *find_chute_problems(definition, own_chutes),
        *find_logo_problems(options.logo),
    ]


def upload(
    api: PlatformApi,
    stage: Stage,
    reference: str,
    progress: output.Progress,
    *,
    arguments: list[str],
    variables: Mapping[str, str],
) -> ImageInfo:
    """Upload the image of ``stage`` through the SDK and return the API's record. Raises WrapperError if there is none."""
    sdk_error = sdk_upload.run_upload(stage, ["build", stage.reference, *arguments], progress, variables)
    image = find_uploaded_image(api, reference, progress)
    if image is None:
        raise sdk_upload.make_upload_error(f"the platform did not accept the image {reference}", sdk_error)
    return image


def _find_base_problems(facts: ModuleFacts, definition: Mapping[str, Any]) -> list[Problem]:
    """Return the warnings about the image's base, without those that the user overruled."""
    problems = find_base_problems(definition, str(facts.path))
    return [problem for problem in problems if not is_overruled(problem.rule, problem.what)]


def _confirm_base(reference: str, options: UploadOptions) -> None:
    """Ask at a terminal whether to upload an image that the newer forge refuses. Raises WrapperError for a no."""
    if options.yes or not prompts.is_possible():
        return
    if not prompts.confirm(f"Build {reference} directly all the same?"):
        raise WrapperError(
            f"{reference} was not uploaded: the build on this base was not confirmed",
            next_step="see Two builders in the README for the platform's own base; --yes builds without this question",
        )


def _upload_and_remember(
    api: PlatformApi,
    stage: Stage,
    manifest: Path,
    reference: str,
    content: str,
    options: UploadOptions,
    progress: output.Progress,
) -> ImageInfo:
    """Upload the image and record its ``content``, also if this command ends before it knows what came of the upload."""
    sdk_upload.show_command(manifest, "build", stage.reference, *options.arguments)
    image_id = IMAGE.compute_id(api.username, reference)
    upload_records.save_upload_record(image_id, stage, content)
    try:
        image = upload(api, stage, reference, progress, arguments=options.arguments, variables={})
    except KeyboardInterrupt:
        output.warning("the platform may have the upload nevertheless: run the same command again to follow the build")
        raise
    except WrapperError as error:
        if not isinstance(error, PlatformRequestFailed | PlatformUnreachable):
            upload_records.remove_upload_record(image_id)  # refused
        raise
    upload_records.save_upload_record(image.image_id, stage, content, image.created_at)
    return image
