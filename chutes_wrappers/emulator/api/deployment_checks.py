"""Checks of a deployment, and its fee (api, PLATFORM.md, sections 2, 4 and 5).

Checks, statuses and their order are the API's (section 4). So are the messages, as far as they are known.
"""

from __future__ import annotations

from loguru import logger

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.api.context import Platform
from chutes_wrappers.emulator.api.image_routes import find_image
from chutes_wrappers.emulator.deployment_request import ChuteRequest, NodeSelectorRequest, list_content_problems
from chutes_wrappers.emulator.gpu_offer import compute_first_deployment_fee, find_hourly_price, find_suitable_gpus
from chutes_wrappers.emulator.tables.chute_table import Chute, version_of
from chutes_wrappers.emulator.tables.image_table import Image
from chutes_wrappers.emulator.tables.user_table import DailyAction, User
from chutes_wrappers.host.preflight.code_review import find_objection


def deploy(platform: Platform, user: User, deployment: ChuteRequest, *, accept_fee: bool) -> Chute:
    """Deploy a chute and charge its fee. Raises the API's error (400, 402, 403, 409, 429 or 500)."""
    _check_name(platform, deployment.name)
    _check_placement(platform, deployment)
    state = platform.state
    with state.transaction():
        _check_daily_limit(platform, user)
        _check_tee_in_name(platform, deployment)
        image = _find_usable_image(platform, user, deployment)
        # When the user overrules that it must exist: a chute whose instances cannot start.
        image_id = image.image_id if image is not None else deployment.image
        existing = state.chutes.find_by_pattern(user.user_id, deployment.name)
        _check_is_new(platform, deployment, existing, version_of(image_id, deployment.code))
        _check_tee(platform, deployment)
        _check_gpus(platform, deployment.node_selector)
        fee = compute_first_deployment_fee(deployment.node_selector) if existing is None else 0.0
        _check_payment(platform, user, deployment, fee, accept_fee=accept_fee)
        _check_image_sdk(platform, image)
        if existing is not None:
            check_mutable(platform, existing)
            _check_update(platform, deployment, existing)
        _check_content(platform, deployment, is_update=existing is not None)
        state.users.charge(user.user_id, fee)
        state.users.record_action(user.user_id, DailyAction.CHUTE)
        return state.chutes.save(
            user_id=user.user_id, username=user.username, image_id=image_id, definition=deployment.model_dump()
        )


def _check_daily_limit(platform: Platform, user: User) -> None:
    """Raise 429 when the user has created, updated and deleted enough chutes today (api, section 4)."""
    limit = platform_rules.MAX_VERSIONS_PER_DAY
    if platform.state.users.count_today(user.user_id, DailyAction.CHUTE) >= limit:
        platform.reject("daily-limit", 429, f"You may only create, update or delete {limit} chutes per day")


def check_mutable(platform: Platform, chute: Chute) -> None:
    """Raise 403 when nobody may change the chute (api, section 4)."""
    if chute.is_immutable:
        platform.reject("immutable-chute", 403, "This chute is immutable and cannot be changed")


def _check_name(platform: Platform, name: str) -> None:
    if word := platform_checks.find_subnet_word(name):
        platform.reject("subnet-name", 403, f"Chute names with {word!r} are reserved for its subnet")


def _check_placement(platform: Platform, deployment: ChuteRequest) -> None:
    selector = deployment.node_selector
    if deployment.tee and not platform_checks.is_tee_placement(selector.gpu_count, selector.include):
        platform.reject("tee-placement", 400, platform_rules.TEE_LIMITED_MESSAGE)


def _check_tee_in_name(platform: Platform, deployment: ChuteRequest) -> None:
    if platform_checks.is_tee_name(deployment.name) and not deployment.tee:
        platform.reject("tee-name", 400, "Only TEE chutes may have 'TEE' in their name")


def _find_usable_image(platform: Platform, user: User, deployment: ChuteRequest) -> Image | None:
    if deployment.public:
        platform.reject("public-chute", 400, platform_rules.PUBLIC_CHUTE_MESSAGE)
    image = find_image(platform, user, deployment.image)
    if image is None:
        platform.reject("image-unknown", 400, "Chute image not found, or does not belong to you")
    elif not image.is_built:
        problem = f"Image {deployment.image} is not built and pushed: its status is {image.status!r}"
        platform.reject("image-unknown", 400, problem)
    if image is not None and deployment.public and not image.public:
        platform.reject("private-image", 409, "Unable to create public chutes from non-public images")
    return image


def _check_is_new(platform: Platform, deployment: ChuteRequest, existing: Chute | None, version: str) -> None:
    if existing is not None and (existing.version, existing.public) == (version, deployment.public):
        platform.reject(
            "version-exists",
            409,
            f"Chute with name={deployment.name}, version={version!r} and public={deployment.public} already exists",
        )


def _check_tee(platform: Platform, deployment: ChuteRequest) -> None:
    if not deployment.tee:
        platform.reject("tee-required", 400, platform_rules.TEE_REQUIRED_MESSAGE)


def _check_gpus(platform: Platform, selector: NodeSelectorRequest) -> None:
    limit = platform_rules.MAX_EXCLUDED_GPUS
    if len(selector.exclude or ()) > limit:
        platform.reject("exclude-count", 400, f"At most {limit} GPUs may be excluded")
    if not find_suitable_gpus(selector):
        platform.reject("no-gpu", 500, "no GPU fits the node selector")


def _check_payment(platform: Platform, user: User, deployment: ChuteRequest, fee: float, *, accept_fee: bool) -> None:
    """Check the balance. An update has no fee (0), but needs a balance above 0."""
    if fee and not accept_fee:
        platform.reject("fee-notice", 402, _format_fee_notice(fee, deployment.node_selector))
    if user.balance <= fee:
        platform.reject(
            "balance",
            402,
            f"The deployment fee, based on your node selector, is ${fee}, but you have a balance of {user.balance}.\n"
            f"Please top up your account with tao @ {user.payment_address}",
        )


def _format_fee_notice(fee: float, selector: NodeSelectorRequest) -> str:
    """Return the API's notice. The text after the fee is ours, because the API's is known only in part."""
    return (
        "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * "
        f"{platform_rules.FIRST_DEPLOYMENT_HOURS}), which for this configuration is: ${fee}\n"
        "To acknowledge and accept this fee, deploy with --accept-fee.\n"
        f"The hourly price is ${find_hourly_price(selector) * selector.gpu_count}."
    )


def _check_image_sdk(platform: Platform, image: Image | None) -> None:
    if image is not None and not platform_checks.is_supported_sdk(image.sdk_version):
        platform.reject("image-sdk", 400, f"The image has chutes {image.sdk_version}, which is too old: build it again")


def _check_update(platform: Platform, deployment: ChuteRequest, existing: Chute) -> None:
    """Check that a TEE chute keeps its number and its set of GPUs. A chute without TEE can be deployed again with TEE."""
    if not existing.definition["tee"]:
        return
    old_selector = NodeSelectorRequest.model_construct(**existing.definition["node_selector"])
    new_selector = deployment.node_selector
    if (old_selector.gpu_count, find_suitable_gpus(old_selector)) != (
        new_selector.gpu_count,
        find_suitable_gpus(new_selector),
    ):
        platform.reject("tee-change", 400, platform_rules.TEE_CHANGE_MESSAGE)


def _check_content(platform: Platform, deployment: ChuteRequest, *, is_update: bool) -> None:
    """Check name, module and cords. The API names the problem of a first deployment; an update ends in a bare 500."""
    for rule, problem in list_content_problems(deployment):
        platform.reject(rule, 500 if is_update else 400, f"Validation failure: {problem}")
    if not deployment.cords and not deployment.jobs:
        platform.reject("no-cord", 400, "A chute must define at least one cord() or job() function!")
    for cord in deployment.cords:
        if cord.public_api_method in platform_rules.NEWEST_PUBLIC_METHODS:
            logger.warning(
                "the public method {} of {} is accepted by the newest API only. An older one rejects the whole chute, "
                "with 400 Validation failure: Unsupported public API method: {}",
                *(cord.public_api_method, cord.public_api_path, cord.public_api_method),
            )
    if objection := find_objection(deployment.code):
        logger.warning("the platform may ban this chute after its deployment, by its code review: {}", objection)
