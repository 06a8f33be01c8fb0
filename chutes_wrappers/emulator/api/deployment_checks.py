"""Whether a chute may be deployed, and what that costs (api, PLATFORM.md, sections 2, 4 and 5).

What is refused, with which status and in which order, is the API's (section 4); so are the texts that are known.
"""

from __future__ import annotations

from fastapi import HTTPException

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform
from chutes_wrappers.emulator.api.image_routes import found_image
from chutes_wrappers.emulator.code_review import objection
from chutes_wrappers.emulator.deployment_request import ChuteRequest, NodeSelectorRequest, name_problem
from chutes_wrappers.emulator.gpu_offer import HOURLY_PRICE, first_deployment_fee, suitable
from chutes_wrappers.emulator.tables.chute_table import Chute, version_of
from chutes_wrappers.emulator.tables.image_table import Image
from chutes_wrappers.emulator.tables.user_table import Counted, User


class NoGpuLeft(Exception):
    """No GPU fits the chute's selector: the API sends a bare 500."""


def deploy(platform: Platform, user: User, wanted: ChuteRequest, *, accept_fee: bool) -> Chute:
    """The chute, deployed and paid for; or the API's refusal (400, 402, 403, 409, 429), or NoGpuLeft."""
    _check_name_is_free(wanted.name)
    _check_placement(wanted)
    state = platform.state
    with state.transaction():
        _check_quota(platform, user)
        _check_tee_in_name(wanted)
        image = _usable_image(platform, user, wanted)
        existing = state.chutes.named(user.user_id, wanted.name)
        _check_is_new(wanted, existing, version_of(image.image_id, wanted.code))
        _check_tee(wanted)
        _check_gpus(wanted.node_selector)
        fee = first_deployment_fee(wanted.node_selector.gpu_count) if existing is None else 0.0
        _check_payment(user, wanted, fee, accept_fee=accept_fee)
        _check_update(wanted, existing)
        _check_content(wanted)
        state.users.charge(user.user_id, fee)
        state.users.count(user.user_id, Counted.VERSION)
        return state.chutes.save(
            user_id=user.user_id, username=user.username, image_id=image.image_id, definition=wanted.model_dump()
        )


def _check_name_is_free(name: str) -> None:
    if word := platform_rules.subnet_word(name):
        raise HTTPException(403, f"Chute names with {word!r} are reserved for its subnet")


def _check_placement(wanted: ChuteRequest) -> None:
    selector = wanted.node_selector
    if wanted.tee and not platform_rules.is_tee_placement(selector.gpu_count, selector.include):
        raise HTTPException(400, platform_rules.TEE_LIMITED)


def _check_quota(platform: Platform, user: User) -> None:
    if platform.state.users.today(user.user_id, Counted.VERSION) >= platform_rules.VERSIONS_A_DAY:
        raise HTTPException(429, f"You may only deploy {platform_rules.VERSIONS_A_DAY} chute versions per day")


def _check_tee_in_name(wanted: ChuteRequest) -> None:
    if platform_rules.claims_tee(wanted.name) and not wanted.tee:
        raise HTTPException(400, "Only TEE chutes may have 'TEE' in their name")


def _usable_image(platform: Platform, user: User, wanted: ChuteRequest) -> Image:
    if wanted.public and not user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1:
        raise HTTPException(
            400,
            "Chutes no longer supports public chutes. You can instead deploy the chute as a private chute and share it "
            "with other users.",
        )
    try:
        image = found_image(platform, Caller(user=user, key=None), wanted.image)
    except HTTPException as unknown:
        raise HTTPException(400, "Chute image not found, or does not belong to you") from unknown
    if not image.is_built:
        raise HTTPException(400, f"Image {wanted.image} is not built and pushed: its status is {image.status!r}")
    if wanted.public and not image.public:
        raise HTTPException(409, "Unable to create public chutes from non-public images")
    return image


def _check_is_new(wanted: ChuteRequest, existing: Chute | None, version: str) -> None:
    if existing is not None and (existing.version, existing.public) == (version, wanted.public):
        raise HTTPException(
            409, f"Chute with name={wanted.name}, version={version!r} and public={wanted.public} already exists"
        )


def _check_tee(wanted: ChuteRequest) -> None:
    if not wanted.tee:
        raise HTTPException(400, platform_rules.TEE_NEEDED)


def _check_gpus(selector: NodeSelectorRequest) -> None:
    most = platform_rules.MOST_EXCLUDED_GPUS
    if len(selector.exclude or ()) > most:
        raise HTTPException(400, f"At most {most} GPUs may be excluded")
    if not suitable(selector):
        raise NoGpuLeft


def _check_payment(user: User, wanted: ChuteRequest, fee: float, *, accept_fee: bool) -> None:
    """``fee`` is 0 for an update, which is free, but not for an account without money."""
    if fee and not accept_fee:
        raise HTTPException(402, _fee_notice(fee, wanted.node_selector.gpu_count))
    if user.balance <= fee:
        raise HTTPException(
            402,
            f"The deployment fee, based on your node selector, is ${fee}, but you have a balance of {user.balance}.\n"
            f"Please top up your account with tao @ {user.payment_address}",
        )


def _fee_notice(fee: float, gpu_count: int) -> str:
    """The API's notice; what comes after the fee is ours, since it is known only in part."""
    return (
        "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * "
        f"{platform_rules.FIRST_DEPLOYMENT_HOURS}), which for this configuration is: ${fee}\n"
        f"To acknowledge and accept this fee, deploy with --accept-fee.\nThe hourly price is ${HOURLY_PRICE * gpu_count}."
    )


def _check_update(wanted: ChuteRequest, existing: Chute | None) -> None:
    """A TEE chute keeps its number and its set of GPUs; one that was deployed without TEE may be deployed again with it."""
    if existing is None or not existing.definition["tee"]:
        return
    before = NodeSelectorRequest.model_construct(**existing.definition["node_selector"])
    after = wanted.node_selector
    if (before.gpu_count, suitable(before)) != (after.gpu_count, suitable(after)):
        raise HTTPException(400, "Cannot change node selector placement constraints on a TEE chute")


def _check_content(wanted: ChuteRequest) -> None:
    if problem := name_problem(wanted):
        raise HTTPException(400, problem)
    if found := objection(wanted.code):
        raise HTTPException(403, f"Code review failed: {found}")
