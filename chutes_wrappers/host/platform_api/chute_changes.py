"""Changes of a deployed chute without a new version: ``PUT /chutes/ID`` (PLATFORM.md, section 5), and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.lookup import refresh_chute
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.platform_api.outcomes import may_have_succeeded
from chutes_wrappers.host.platform_api.record_lookup import build_path

State = Literal["set", "ignored", "not shown"]
_UNKNOWN_ROUTE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


@dataclass(frozen=True, kw_only=True)
class ChangedChute:
    """A chute after a change. ``fields`` are what the API returns about it; ``lost`` is the error of a response that was lost."""

    chute: ChuteInfo
    fields: Mapping[str, Any]
    lost: WrapperError | None

    def find_state(self, field: str, value: object) -> State:
        """Return whether the API now shows ``value`` for ``field``."""
        if field not in self.fields:
            return "not shown"
        return "set" if _is_equal(self.fields[field], value) else "ignored"


def change_chute(api: PlatformApi, chute: ChuteInfo, body: Mapping[str, Any], what: str, fallback: str) -> ChangedChute:
    """Send a change of ``chute``, and return the chute afterwards, also when the response was lost.

    ``what`` describes the request, and ``fallback`` is the next step where the server has no such route. Raises WrapperError
    for a refusal, and when the API does not show the chute afterwards.
    """
    _check_mutable(chute, what)
    try:
        response, lost = _send(api, chute, body, what, fallback), None
    except WrapperError as error:
        is_unknown_route = isinstance(error, PlatformRequestFailed) and error.status in _UNKNOWN_ROUTE
        if is_unknown_route or not may_have_succeeded(error):
            raise
        response, lost = {}, error
    try:
        after = refresh_chute(api, chute)
    except WrapperError:
        if lost is None:
            raise
        raise lost from None
    return ChangedChute(chute=after, fields=_collect_fields(response, after.record), lost=lost)


def _check_mutable(chute: ChuteInfo, what: str) -> None:
    if chute.record.get("immutable") is True:
        problem = WrapperError(
            f"{what}: the chute is immutable, and the platform refuses every change of it",
            next_step=f"delete it, or deploy the module under another CHUTE_NAME: {NAMES.deploy} --deploy MODULE",
        )
        refuse("immutable-chute", problem)


def _send(api: PlatformApi, chute: ChuteInfo, body: Mapping[str, Any], what: str, fallback: str) -> Mapping[str, Any]:
    try:
        return api.put(build_path("chutes", chute.chute_id), what, body)
    except PlatformRequestFailed as error:
        # 404 is also that of an unknown logo.
        if error.status in _UNKNOWN_ROUTE and "logo" not in (error.evidence or "").lower():
            error.next_step = f"{fallback}: this server cannot change a deployed chute"
        raise


def _collect_fields(response: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the API shows of a chute; the record overrides the response to the change.

    An API may name a logo only by the path of its file.
    """
    fields = {**response, **record}
    if "logo_id" not in fields and isinstance(fields.get("logo"), str):
        fields["logo_id"] = Path(fields["logo"]).stem
    return fields


def _is_equal(shown: object, value: object) -> bool:
    if isinstance(shown, bool) or isinstance(value, bool):
        return shown is value
    if isinstance(shown, str) or isinstance(value, str):
        return str(shown or "").strip() == str(value).strip()
    return shown == value
