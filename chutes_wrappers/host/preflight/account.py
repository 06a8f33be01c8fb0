"""Reasons for the platform to reject an upload or a deployment of this account, from the account's state. Pure."""

from __future__ import annotations

import mimetypes
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.platform_api.objects import AccountInfo, ChuteInfo, ImageInfo
from chutes_wrappers.host.preflight.problem import Problem

_PLATFORM = "the platform"
_SIGNATURE_BYTES = 512
_LOGO_STEP = "use a PNG, JPEG, GIF or WebP file, whose name ends in .png, .jpg, .gif or .webp"
_LIMIT_MARGIN = 4


def find_upload_problems(
    account: AccountInfo,
    image: ImageInfo | None,
    module: str,
    *,
    sdk_version: str,
    own_images: Iterable[ImageInfo] = (),
) -> Iterator[Problem]:
    """Yield the problems of uploading an image with the SDK of ``sdk_version``.

    ``image`` is the platform's image with the same name and tag, ``own_images`` are all of the account.
    """
    if image is None and not platform_checks.is_supported_sdk(sdk_version):
        minimum_version = ".".join(map(str, platform_rules.MIN_SDK_VERSION))
        yield Problem(
            rule="sdk-version",
            what=f"the SDK is chutes {sdk_version}, and the platform accepts builds from {minimum_version} on only",
            where="this environment",
            fix=f"install the SDK again: {NAMES.reinstall}",
        )
    if image is None:
        yield from _find_limit_problems(
            "build-limit",
            "builds",
            platform_rules.MAX_BUILDS_PER_DAY,
            (own.created_at for own in own_images if own.created_at is not None),
        )
    minimum = platform_rules.MIN_BUILD_BALANCE
    if image is None and account.balance is not None and account.balance < minimum:
        yield Problem(
            rule="build-balance",
            what=f"a build needs a balance of ${minimum:g}; the balance is ${account.balance:.2f}",
            where=f"the account {account.username}",
            fix=f"send a payment to {account.payment_address}, or build on this machine with --local",
        )
    if image is not None and image.status == platform_rules.IMAGE_BUILT:
        yield Problem(
            rule="image-exists",
            what=f"{image.reference} is built already, and a name and tag can be built only once",
            where=_PLATFORM,
            fix=f"run --deploy {module} to deploy it, or increase CHUTE_TAG for another image",
        )
    if image is not None and has_failed(image):
        yield Problem(
            rule="image-exists",
            what=f"the build of {image.reference} failed ({image.status}), and blocks the name and tag",
            where=_PLATFORM,
            fix=_build_failure_step(image, f"run --delete-image {image.reference}, then build again"),
        )


def find_deployment_problems(
    account: AccountInfo, image: ImageInfo | None, *, reference: str, module: str, public: bool, fee: float | None
) -> Iterator[Problem]:
    """Yield the problems of deploying a module whose image is ``reference``.

    ``fee`` is what the deployment costs in dollars by the platform's prices; None for an update, and without a price.
    """
    yield from _find_image_problems(image, reference, module)
    if public:
        # SDK entrypoint/deploy.py: only with the permission; section 4: the API refuses it to everybody.
        first = "" if account.may_publish else "; without a permission the SDK refuses it too, whatever --allow names"
        yield Problem(
            rule="public-chute",
            what=f"the platform takes no public chutes (the API: 400 {platform_rules.PUBLIC_CHUTE_MESSAGE!r}{first})",
            where="--public",
            fix="remove --public, deploy, then give others access with --share NAME USER",
        )
    if public and image is not None and not image.public:
        yield Problem(
            rule="private-image",
            what=f"the image {image.reference} is private, and a public chute needs a public one (the API: 409; the SDK refuses it "
            "too, whatever --allow names)",
            where=_PLATFORM,
            fix="build it with --public under another CHUTE_TAG",
        )
    if account.balance is not None and account.balance <= (fee or 0.0):
        costs = f"the deployment costs ${fee:.2f} once, and " if fee else ""
        estimate = " (the fee is an estimate by the platform's prices)" if fee else ""
        yield Problem(
            rule="balance",
            what=f"{costs}the balance must be more than ${fee or 0.0:.2f}: it is ${account.balance:.2f}{estimate}",
            where=f"the account {account.username}",
            fix=f"send a payment to {account.payment_address}",
        )


def find_chute_problems(described: Mapping[str, Any], own_chutes: Sequence[ChuteInfo]) -> Iterator[Problem]:
    """Yield the problems of deploying what a module defines beside, or as the next version of, the account's chutes."""
    name, deployed = str(described["name"]), find_updated_chute(described["name"], own_chutes)
    yield from find_replacement_problems(name, [chute.name for chute in own_chutes if chute.name != name])
    yield from _find_limit_problems(
        "daily-limit",
        "creations, updates and deletions of chutes",
        platform_rules.MAX_VERSIONS_PER_DAY,
        (time for chute in own_chutes for time in _list_entries(chute)),
    )
    if deployed is not None:
        yield from _find_update_problems(described, deployed)


def find_updated_chute(name: str, own_chutes: Sequence[ChuteInfo]) -> ChuteInfo | None:
    """Return the account's chute that a deployment as ``name`` updates, or None: of this name, else one that matches it."""
    matches = (chute for chute in own_chutes if platform_checks.is_name_pattern_match(name, chute.name))
    return next((chute for chute in own_chutes if chute.name == name), next(matches, None))


def _find_update_problems(described: Mapping[str, Any], deployed: ChuteInfo) -> Iterator[Problem]:
    deletion = f"delete it first: {NAMES.deploy} --delete {shlex.quote(deployed.name)}. Deployed again, it has the same id and URL, "
    deletion += "and costs the fee of a first deployment again"
    if deployed.record.get("immutable") is True:
        yield Problem(
            rule="immutable-chute",
            what=f"the deployed chute {deployed.name} is immutable: the platform accepts no new version of it",
            where=_PLATFORM,
            fix=f"deploy it under another CHUTE_NAME, or {deletion}",
        )
    changes = [*_list_placement_changes(deployed.node_selector, described["node_selector"] or {})]
    is_tee = deployed.record.get("tee")
    if changes and is_tee is not False:
        unknown = "" if is_tee else ". The platform does not tell whether it is one"
        yield Problem(
            rule="tee-change",
            what=f"the deployed chute {deployed.name} has {'; '.join(changes)}, which cannot change on a TEE chute "
            f"(the API: 400 {platform_rules.TEE_CHANGE_MESSAGE!r}){unknown}",
            where=_PLATFORM,
            fix=deletion,
            severity="rejected" if is_tee else "warning",
        )


def _list_placement_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if not old or not new:
        return
    old_count = old.get("gpu_count")
    if old_count is not None and old_count != platform_checks.read_setting("gpu_count", new["gpu_count"]):
        yield f"gpu_count {old_count}, not {new['gpu_count']}"
    old_gpus, new_gpus = platform_checks.resolve_gpus(old), platform_checks.resolve_gpus(new)
    if old_gpus != new_gpus:
        yield f"the GPUs {_format_gpus(old_gpus)}, not {_format_gpus(new_gpus)}"


def _format_gpus(names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"{', '.join(listed[:4])}{f' and {len(listed) - 4} more' if len(listed) > 4 else ''}" if listed else "none"


def _list_entries(chute: ChuteInfo) -> Iterator[datetime]:
    """Yield the times of a chute's creation and of its last update, if there was one."""
    if chute.created_at is not None:
        yield chute.created_at
    if chute.updated_at is not None and (
        chute.created_at is None or chute.updated_at > chute.created_at + timedelta(minutes=1)
    ):
        yield chute.updated_at


def _find_limit_problems(rule: str, what: str, limit: int, times: Iterable[datetime]) -> Iterator[Problem]:
    """Warn near a limit of a day. What was deleted, or changed several times, is not in the account's lists."""
    since = datetime.now(timezone.utc) - timedelta(days=1)
    count = sum(time > since for time in times)
    if count >= limit - _LIMIT_MARGIN:
        yield Problem(
            rule=rule,
            what=f"at least {count} of the {limit} {what} of a day are used: the platform rejects more with 429",
            where=_PLATFORM,
            fix="if it does, run the command again tomorrow",
            severity="warning",
        )


def find_replacement_problems(name: str, other_names: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each other chute of the account that the platform would take for the chute ``name``.

    ``other_names`` are the names of the account's chutes, without exactly this one.
    """
    for other in other_names:
        if platform_checks.is_name_pattern_match(name, other):
            yield Problem(
                rule="chute-replacement",
                what=f"{name!r} would be deployed as a new version of the chute {other!r}: the platform ignores case, and "
                "reads '_' as any character",
                where="CHUTE_NAME",
                fix=f"set it to {other!r} to update that chute, or to a name without '_' that differs by more than case",
            )


def find_logo_problems(logo: Path | None) -> Iterator[Problem]:
    """Yield the problems of an image file for the logo."""
    if logo is None:
        return
    try:
        with logo.open("rb") as file:
            start = file.read(_SIGNATURE_BYTES)
    except OSError as error:
        yield Problem(
            rule="",
            what=f"the logo cannot be read ({error.strerror})",
            where=str(logo),
            fix="set --logo to an image file that you may read",
        )
        return
    # SDK entrypoint/_shared.py: the SDK sends the type of the file's name.
    fault = platform_checks.find_logo_problem(start, mimetypes.guess_type(logo)[0] or "image/png")
    if fault is not None:
        what = f"{fault} (the API: 400 {platform_rules.LOGO_MESSAGE!r})"
        yield Problem(rule="logo-file", what=what, where=str(logo), fix=_LOGO_STEP)


def has_failed(image: ImageInfo) -> bool:
    """Return whether an image's build has failed."""
    return image.status.startswith(platform_rules.IMAGE_FAILED.rstrip(": "))


def _build_failure_step(image: ImageInfo, default: str) -> str:
    return build_refusal_step(image.reference) if is_refusal(image.status) else default


def _find_image_problems(image: ImageInfo | None, reference: str, module: str) -> Iterator[Problem]:
    if image is None:
        yield Problem(
            rule="image-unknown",
            what=f"image {reference} not found",
            where=_PLATFORM,
            fix=f"run --build {module} to upload and build it",
        )
    elif has_failed(image):
        yield Problem(
            rule="image-unknown",
            what=f"the build of {reference} failed: {image.status}",
            where=_PLATFORM,
            fix=_build_failure_step(
                image, f"run --delete-image {reference}, correct the module, and run --build {module} again"
            ),
        )
    elif image.status != platform_rules.IMAGE_BUILT:
        yield Problem(
            rule="image-unknown",
            what=f"the image {reference} is not built yet: {image.status}",
            where=_PLATFORM,
            fix=f"wait for the build: --build {module} follows it",
        )
