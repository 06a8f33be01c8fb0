"""Whether a chute may be deployed, and what that costs (api, PLATFORM.md, sections 2, 4 and 5)."""

from __future__ import annotations

from fastapi import HTTPException

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.api.images import found_image
from chutes_wrappers.emulator.api.platform import Caller, Platform
from chutes_wrappers.emulator.code_review import objection
from chutes_wrappers.emulator.deployment_request import ChuteRequest, NodeSelectorRequest, name_problem
from chutes_wrappers.emulator.gpus import first_deployment_fee, suitable
from chutes_wrappers.emulator.tables.chutes import Chute, version_of
from chutes_wrappers.emulator.tables.images import Image
from chutes_wrappers.emulator.tables.users import Counted, User


def deploy(platform: Platform, user: User, wanted: ChuteRequest, *, accept_fee: bool) -> Chute:
    """The chute, deployed and paid for; or the API's refusal: 400, 402, 403, 404, 409 or 429."""
    if problem := name_problem(wanted):
        raise HTTPException(400, problem)
    if found := objection(wanted.code):
        raise HTTPException(403, f"Code review failed: {found}")
    state = platform.state
    with state.transaction():
        image = _usable_image(platform, user, wanted)
        existing = state.chutes.named(user.user_id, wanted.name)
        version = version_of(image.image_id, wanted.code)
        if existing is not None and (existing.version, existing.public) == (version, wanted.public):
            raise HTTPException(
                409, f"Chute with name={wanted.name}, version={version} and public={wanted.public} already exists"
            )
        if state.users.today(user.user_id, Counted.VERSION) >= platform_rules.VERSIONS_A_DAY:
            raise HTTPException(429, f"You may only deploy {platform_rules.VERSIONS_A_DAY} chute versions per day")
        price = _hourly_price(wanted.node_selector)
        if existing is None:
            _charge(platform, user, first_deployment_fee(price, wanted.node_selector.gpu_count), accept_fee=accept_fee)
        state.users.count(user.user_id, Counted.VERSION)
        return state.chutes.save(
            user_id=user.user_id, username=user.username, image_id=image.image_id, definition=wanted.model_dump()
        )


def _usable_image(platform: Platform, user: User, wanted: ChuteRequest) -> Image:
    image = found_image(platform, Caller(user=user, key=None), wanted.image)
    if not image.is_built:
        raise HTTPException(400, f"Image {wanted.image} is not built and pushed: its status is {image.status!r}")
    if wanted.public and not user.permissions >> platform_rules.PUBLIC_CHUTES_BIT & 1:
        raise HTTPException(403, "Public chutes are no longer possible without special permissions")
    if wanted.public and not image.public:
        raise HTTPException(400, "Unable to create public chutes from non-public images")
    return image


def _hourly_price(selector: NodeSelectorRequest) -> float:
    fitting = suitable(
        selector.min_vram_gb_per_gpu, selector.max_hourly_price_per_gpu, selector.include, selector.exclude
    )
    if not fitting:
        raise HTTPException(400, "No supported GPUs based on node selector")
    return fitting[0].hourly_price


def _charge(platform: Platform, user: User, fee: float, *, accept_fee: bool) -> None:
    if not accept_fee:
        raise HTTPException(
            402, f"Deploying this chute has a one-time fee of ${fee:.2f}, which must be accepted with --accept-fee"
        )
    if user.balance < fee:
        raise HTTPException(
            402, f"Insufficient balance: the deployment fee is ${fee:.2f}, and it is ${user.balance:.2f}"
        )
    platform.state.users.charge(user.user_id, fee)
