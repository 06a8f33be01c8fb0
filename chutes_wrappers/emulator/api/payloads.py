"""JSON payloads of the API's objects, as the SDK's command line reads them (SDK ``crud.py``)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from chutes_wrappers.emulator.api.context import Platform
from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest
from chutes_wrappers.emulator.gpu_offer import find_hourly_price, find_suitable_gpus
from chutes_wrappers.emulator.records import InstanceRecord, InstanceState
from chutes_wrappers.emulator.tables.chute_table import Chute
from chutes_wrappers.emulator.tables.image_table import Image
from chutes_wrappers.emulator.tables.key_table import ApiKey, Scope
from chutes_wrappers.emulator.tables.secret_table import Secret

JsonObject = dict[str, Any]
_MAX_ENDED_INSTANCES = 5
_DEFAULT_LIMIT = 25
_HOUR_S = 3600
DOLLARS_OF_TAO = 300.0  # made up: the exchange rate changes


def format_time(unix_s: float | None) -> str | None:
    """Return a time as the API writes it: ISO 8601, UTC."""
    return None if unix_s is None else datetime.fromtimestamp(unix_s, timezone.utc).isoformat()


def build_page(items: Sequence[JsonObject], page: int, limit: int) -> JsonObject:
    """Return one page of a list. Pages count from 0."""
    size = limit or _DEFAULT_LIMIT
    page_items = items[page * size : (page + 1) * size]
    return {"total": len(items), "page": page, "limit": limit, "items": page_items, "cord_refs": {}}


def build_price(dollars_an_hour: float) -> JsonObject:
    """Return a price in dollars and in TAO, by the hour and by the second."""
    tao_an_hour = dollars_an_hour / DOLLARS_OF_TAO
    return {
        "usd": {"hour": dollars_an_hour, "second": dollars_an_hour / _HOUR_S},
        "tao": {"hour": tao_an_hour, "second": tao_an_hour / _HOUR_S},
    }


def build_image_payload(platform: Platform, image: Image) -> JsonObject:
    """Return the payload of an image."""
    return {
        "image_id": image.image_id,
        "user_id": image.user_id,
        "user": _build_user_payload(platform, image.user_id),
        "name": image.name,
        "tag": image.tag,
        "readme": image.readme,
        "public": image.public,
        "logo_id": image.logo_id,
        "logo": _build_logo_path(image.logo_id),
        "patch_version": "initial",
        "status": image.status,
        "chutes_version": image.sdk_version,
        "created_at": format_time(image.created_at),
        "build_started_at": format_time(image.build_started_at),
        "build_completed_at": format_time(image.build_completed_at),
    }


def _build_logo_path(logo_id: str | None) -> str | None:
    return f"/logos/{logo_id}.webp" if logo_id else None


def build_chute_payload(platform: Platform, chute: Chute, *, with_cords: bool = True) -> JsonObject:
    """Return the payload of a chute. In lists cords and code are left out."""
    definition, instances = chute.definition, list_live_instances(platform, chute.chute_id)
    image = platform.state.images.find_by_id(chute.image_id)
    selector = NodeSelectorRequest.model_construct(**definition["node_selector"])
    supported_gpus = sorted(find_suitable_gpus(selector))
    # The source is at /chutes/code/{id}.
    fields = {name: value for name, value in definition.items() if name not in ("cords", "image", "code")}
    cords = {"cords": definition["cords"]} if with_cords else {}
    return {
        **fields,
        **cords,
        "chute_id": chute.chute_id,
        "user": _build_user_payload(platform, chute.user_id),
        "name": chute.name,
        "slug": chute.slug,
        "version": chute.version,
        "image": build_image_payload(platform, image) if image else None,
        "logo": _build_logo_path(definition["logo_id"]),
        "cord_ref_id": None if with_cords else chute.cord_ref_id,
        "node_selector": {**definition["node_selector"], "supported_gpus": supported_gpus},
        "supported_gpus": supported_gpus,
        "current_estimated_price": build_price(find_hourly_price(selector) * selector.gpu_count),
        "chutes_version": image.sdk_version if image else None,
        "tool_description": definition.get("tool_description"),
        "invocation_count": 0,
        "hot": any(record.state is InstanceState.ACTIVE for record in instances),
        "instances": [build_instance_payload(record) for record in instances],
        # Not in the platform's API.
        "ended_instances": [
            build_instance_payload(record) for record in _list_ended_instances(platform, chute.chute_id)
        ],
        "created_at": format_time(chute.created_at),
        "updated_at": format_time(chute.updated_at),
    }


def _list_ended_instances(platform: Platform, chute_id: str) -> list[InstanceRecord]:
    """Return the latest instances of a chute that are gone."""
    records = platform.instances.list_records(chute_id) if platform.instances is not None else ()
    return [record for record in records if record.state is InstanceState.GONE][-_MAX_ENDED_INSTANCES:]


def list_live_instances(platform: Platform, chute_id: str) -> list[InstanceRecord]:
    """Return the instances of a chute that are not gone."""
    records = platform.instances.list_records(chute_id) if platform.instances is not None else ()
    return [record for record in records if record.state is not InstanceState.GONE]


def build_instance_payload(record: InstanceRecord) -> JsonObject:
    """Return the payload of an instance, as ``chutes warmup`` reads it (SDK ``entrypoint/warmup.py``).

    The keys from ``state`` on are the emulator's additions.
    """
    is_active = record.state is InstanceState.ACTIVE
    return {
        "instance_id": record.instance_id,
        "chute_id": record.chute_id,
        "version": record.version,
        "active": is_active,
        "verified": is_active,
        "region": "localhost",
        "last_verified_at": format_time(record.active_since),
        "created_at": format_time(record.started_at),
        "state": record.state.value,
        "running_calls": record.running_calls,
        "failures": record.failures,
        "disabled_until": format_time(record.disabled_until),
        "last_failure": record.last_failure,
        "ended_because": record.ended_because,
    }


def build_key_payload(key: ApiKey) -> JsonObject:
    """Return the payload of an API key, without its secret."""
    return {
        "api_key_id": key.api_key_id,
        "user_id": key.user_id,
        "name": key.name,
        "admin": key.admin,
        "scopes": [_build_scope_payload(key, number, scope) for number, scope in enumerate(key.scopes)],
        "created_at": format_time(key.created_at),
        "last_used_at": format_time(key.last_used_at) if key.last_used_at is not None else None,
    }


def _build_scope_payload(key: ApiKey, number: int, scope: Scope) -> JsonObject:
    # The API of October 2025 names the action "method" in its responses.
    scope_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{key.api_key_id}:{number}")
    return {"scope_id": str(scope_id), **vars(scope), "method": scope.action}


def build_secret_payload(secret: Secret) -> JsonObject:
    """Return the payload of a secret, without its value."""
    return {
        "secret_id": secret.secret_id,
        "purpose": secret.purpose,
        "key": secret.key,
        "created_at": format_time(secret.created_at),
    }


def _build_user_payload(platform: Platform, user_id: str) -> JsonObject:
    user = platform.state.users.find_by_id(user_id)
    return {
        "user_id": user_id,
        "username": user.username if user else None,
        "logo_id": None,
        "logo": None,
        "created_at": format_time(user.created_at) if user else None,
    }
