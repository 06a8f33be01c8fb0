"""Checks of a deployment, and its fee (api, PLATFORM.md, sections 2, 4 and 5).

Checks, statuses and their order are the API's (section 4). So are the messages, as far as they are known.
"""

from __future__ import annotations

from fastapi import HTTPException

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Caller, Platform
from chutes_wrappers.emulator.api.image_routes import find_image
from chutes_wrappers.emulator.code_review import find_objection
from chutes_wrappers.emulator.deployment_request import ChuteRequest, NodeSelectorRequest, find_name_problem
from chutes_wrappers.emulator.gpu_offer import HOURLY_PRICE, compute_first_deployment_fee, find_suitable_gpus
from chutes_wrappers.emulator.tables.chute_table import Chute, version_of
from chutes_wrappers.emulator.tables.image_table import Image
from chutes_wrappers.emulator.tables.user_table import DailyAction, User


class NoGpuAvailable(Exception):
    """No GPU fits the node selector: the API returns a plain 500."""


def deploy(platform: Platform, user: User, deployment: ChuteRequest, *, accept_fee: bool) -> Chute:
    """Deploy a chute and charge its fee. Raises the API's error (400, 402, 403, 409, 429), or NoGpuAvailable."""
    _check_name_is_free(deployment.name)
    _check_placement(deployment)
    state = platform.state
    with state.transaction():
        _check_quota(platform, user)
        _check_tee_in_name(deployment)
        image = _find_usable_image(platform, user, deployment)
        existing = state.chutes.find_by_pattern(user.user_id, deployment.name)
        _check_is_new(deployment, existing, version_of(image.image_id, deployment.code))
        _check_tee(deployment)
        _check_gpus(deployment.node_selector)
        fee = compute_first_deployment_fee(deployment.node_selector.gpu_count) if existing is None else 0.0
        _check_payment(user, deployment, fee, accept_fee=accept_fee)
        _check_update(deployment, existing)
        _check_content(deployment)
        state.users.charge(user.user_id, fee)
        state.users.record_action(user.user_id, DailyAction.VERSION)
        return state.chutes.save(
            user_id=user.user_id, username=user.username, image_id=image.image_id, definition=deployment.model_dump()
        )


def _check_name_is_free(name: str) -> None:
    if word := platform_checks.find_subnet_word(name):
        raise HTTPException(403, f"Chute names with {word!r} are reserved for its subnet")


def _check_placement(deployment: ChuteRequest) -> None:
    selector = deployment.node_selector
    if deployment.tee and not platform_checks.is_tee_placement(selector.gpu_count, selector.include):
        raise HTTPException(400, platform_rules.TEE_LIMITED_MESSAGE)


def _check_quota(platform: Platform, user: User) -> None:
    if platform.state.users.count_today(user.user_id, DailyAction.VERSION) >= platform_rules.MAX_VERSIONS_PER_DAY:
        raise HTTPException(429, f"You may only deploy {platform_rules.MAX_VERSIONS_PER_DAY} chute versions per day")


def _check_tee_in_name(deployment: ChuteRequest) -> None:
    if platform_checks.is_tee_name(deployment.name) and not deployment.tee:
        raise HTTPException(400, "Only TEE chutes may have 'TEE' in their name")


def _find_usable_image(platform: Platform, user: User, deployment: ChuteRequest) -> Image:
    if deployment.public and not user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1:
        raise HTTPException(
            400,
            "Chutes no longer supports public chutes. You can instead deploy the chute as a private chute and share it "
            "with other users.",
        )
    try:
        image = find_image(platform, Caller(user=user, key=None), deployment.image)
    except HTTPException as unknown:
        raise HTTPException(400, "Chute image not found, or does not belong to you") from unknown
    if not image.is_built:
        raise HTTPException(400, f"Image {deployment.image} is not built and pushed: its status is {image.status!r}")
    if deployment.public and not image.public:
        raise HTTPException(409, "Unable to create public chutes from non-public images")
    return image


def _check_is_new(deployment: ChuteRequest, existing: Chute | None, version: str) -> None:
    if existing is not None and (existing.version, existing.public) == (version, deployment.public):
        raise HTTPException(
            409, f"Chute with name={deployment.name}, version={version!r} and public={deployment.public} already exists"
        )


def _check_tee(deployment: ChuteRequest) -> None:
    if not deployment.tee:
        raise HTTPException(400, platform_rules.TEE_REQUIRED_MESSAGE)


def _check_gpus(selector: NodeSelectorRequest) -> None:
    limit = platform_rules.MAX_EXCLUDED_GPUS
    if len(selector.exclude or ()) > limit:
        raise HTTPException(400, f"At most {limit} GPUs may be excluded")
    if not find_suitable_gpus(selector):
        raise NoGpuAvailable


def _check_payment(user: User, deployment: ChuteRequest, fee: float, *, accept_fee: bool) -> None:
    """Check the balance. An update has no fee (0), but needs a balance above 0."""
    if fee and not accept_fee:
        raise HTTPException(402, _format_fee_notice(fee, deployment.node_selector.gpu_count))
    if user.balance <= fee:
        raise HTTPException(
            402,
            f"The deployment fee, based on your node selector, is ${fee}, but you have a balance of {user.balance}.\n"
            f"Please top up your account with tao @ {user.payment_address}",
        )


def _format_fee_notice(fee: float, gpu_count: int) -> str:
    """Return the API's notice. The text after the fee is ours, because the API's is known only in part."""
    return (
        "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * "
        f"{platform_rules.FIRST_DEPLOYMENT_HOURS}), which for this configuration is: ${fee}\n"
        f"To acknowledge and accept this fee, deploy with --accept-fee.\nThe hourly price is ${HOURLY_PRICE * gpu_count}."
    )


def _check_update(deployment: ChuteRequest, existing: Chute | None) -> None:
    """Check that a TEE chute keeps its number and its set of GPUs. A chute without TEE can be deployed again with TEE."""
    if existing is None or not existing.definition["tee"]:
        return
    old_selector = NodeSelectorRequest.model_construct(**existing.definition["node_selector"])
    new_selector = deployment.node_selector
    if (old_selector.gpu_count, find_suitable_gpus(old_selector)) != (
        new_selector.gpu_count,
        find_suitable_gpus(new_selector),
    ):
        raise HTTPException(400, "Cannot change node selector placement constraints on a TEE chute")


def _check_content(deployment: ChuteRequest) -> None:
    if problem := find_name_problem(deployment):
        raise HTTPException(400, problem)
    if objection := find_objection(deployment.code):
        raise HTTPException(403, f"Code review failed: {objection}")
