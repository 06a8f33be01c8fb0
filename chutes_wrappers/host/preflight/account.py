"""Reasons for the platform to reject an upload or a deployment of this account, from the account's state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.host.platform_api.objects import AccountInfo, ImageInfo
from chutes_wrappers.host.preflight.problem import Problem

_PLATFORM = "the platform"
_IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"<svg", b"<?xml")
_SIGNATURE_BYTES = 16


def find_upload_problems(account: AccountInfo, image: ImageInfo | None, module: str) -> Iterator[Problem]:
    """Yield the problems of uploading an image. ``image`` is the platform's image with the same name and tag."""
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
    """Yield the problems of deploying a module whose image is ``reference``. ``fee`` is the deployment's price in dollars."""
    yield from _find_image_problems(image, reference, module)
    if public and not account.may_publish:
        yield Problem(
            rule="public-chute",
            what="public chutes need a permission that the account does not have",
            where=f"the account {account.username}",
            fix="remove --public, and use --share NAME USER",
        )
    if public and image is not None and not image.public:
        yield Problem(
            rule="private-image",
            what=f"the image {image.reference} is private, and a public chute needs a public one",
            where=_PLATFORM,
            fix="build it with --public under another CHUTE_TAG",
        )
    if account.balance is not None and account.balance <= (fee or 0.0):
        costs = f"the deployment costs ${fee:.2f} once, and " if fee else ""
        yield Problem(
            rule="balance",
            what=f"{costs}the balance must be more than ${fee or 0.0:.2f}: it is ${account.balance:.2f}",
            where=f"the account {account.username}",
            fix=f"send a payment to {account.payment_address}",
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
    if not start.startswith(_IMAGE_SIGNATURES):
        yield Problem(
            rule="logo-file",
            what="the logo is not an image file",
            where=str(logo),
            fix="use a PNG, JPEG, GIF, WebP or SVG file",
        )


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
