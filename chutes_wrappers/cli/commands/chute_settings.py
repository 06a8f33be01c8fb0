"""``--set NAME FIELD=VALUE …``: settings of a deployed chute, changed without a new version, and what the platform ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import IGNORED_CHANGES
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.change_words import parse_changes
from chutes_wrappers.host.platform_api.chute_changes import ChangedChute, State, change_chute
from chutes_wrappers.host.platform_api.chute_placement import find_chute_price
from chutes_wrappers.host.platform_api.lookup import get_own_chute, resolve_chute_name
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.pricing import describe_source, format_dollars

# Where a deployment gets each field from; it sends no tool_description.
_SOURCES = {
    "tagline": "CHUTE_TAGLINE",
    "readme": "readme= of Chute(…)",
    "logo_id": "--logo FILE of --deploy",
    "max_instances": "max_instances= of Chute(…)",
    "scaling_threshold": "scaling_threshold= of Chute(…)",
    "shutdown_after_seconds": "shutdown_after_seconds= of Chute(…)",
}
# The server of 2025 does not know them (PLATFORM.md, section 5).
_NEW_FIELDS = ("max_instances", "scaling_threshold")
_LONGEST_SHOWN = 80


def change_settings(name: str, words: Sequence[str], *, as_json: bool) -> int:
    """Change the fields that ``words`` name, such as ``max_instances=2``; return 0 once the API shows all of them.

    Raises WrapperError with the fields that the platform ignored or does not show, and ConfigurationError for invalid words.
    """
    changes = parse_changes(words)
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_own_chute(api, chute_name)
        what = f"changing {', '.join(changes)} of the chute {chute.name}"
        fallback = f"set it in the module, and run {NAMES.deploy} --deploy MODULE"
        changed = change_chute(api, chute, changes, what, fallback)
    states = {field: changed.find_state(field, value) for field, value in changes.items()}
    if changed.lost is not None and set(states.values()) != {"set"}:
        raise changed.lost
    if as_json:
        output.print_json(_build_payload(changed, changes, states))
    if changed.lost is not None:
        output.warning(f"the platform's response was lost, but its record shows the change: {changed.lost.what}")
    _report_set_fields(changed.chute, {field: changes[field] for field, state in states.items() if state == "set"})
    if set(states.values()) != {"set"}:
        raise _make_ignored_error(changed, changes, states)
    return 0


def _build_payload(changed: ChangedChute, changes: Mapping[str, Any], states: Mapping[str, State]) -> dict[str, Any]:
    fields = {
        field: {"state": states[field], "requested": value, "value": changed.fields.get(field)}
        for field, value in changes.items()
    }
    return {"chute_id": changed.chute.chute_id, "name": changed.chute.name, "fields": fields}


def _report_set_fields(chute: ChuteInfo, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        output.success(f"{field} of {chute.name} is {_format_value(value)}")
    if "max_instances" in fields:
        _report_cost(chute, fields["max_instances"])
    if sources := [_SOURCES[field] for field in fields if field in _SOURCES]:
        output.report(f"The next --deploy sets the module's values again, from: {', '.join(sources)}")


def _report_cost(chute: ChuteInfo, count: Any) -> None:
    price = find_chute_price(chute)
    if price is not None and isinstance(count, int):
        output.report(
            f"All {count} instances together cost about {format_dollars(count * price.usd)} an hour: {count} times "
            f"{format_dollars(price.usd)} (estimate by {describe_source(price)})"
        )


def _make_ignored_error(changed: ChangedChute, changes: Mapping[str, Any], states: Mapping[str, State]) -> WrapperError:
    others = [field for field, state in states.items() if state != "set"]
    lines = [f"{field}: {_explain(changed, field, changes[field], states[field])}" for field in others]
    sources = [_SOURCES[field] for field in others if field in _SOURCES]
    step = (
        f"change it in the module, and deploy it again: {', '.join(sources)}" if sources else "check it on the website"
    )
    return WrapperError(
        f"{len(others)} of {len(changes)} fields of {changed.chute.name} did not change, or the API does not show it",
        evidence="\n".join(lines),
        next_step=step,
    )


def _explain(changed: ChangedChute, field: str, value: Any, state: State) -> str:
    if state == "not shown":
        return "accepted, but this API does not show it"
    still = f"ignored, and still {_format_value(changed.fields[field])}"
    if value == "":
        return f"{still}: the platform does not clear texts"
    if field in IGNORED_CHANGES:
        return f"{still}: the platform validates this field, and ignores it"
    return f"{still}: servers before mid 2026 ignore this field" if field in _NEW_FIELDS else still


def _format_value(value: Any) -> str:
    text = clean_text(value)
    if isinstance(value, str):
        return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}… ({len(value):,} characters)"
    return text or "not set"
