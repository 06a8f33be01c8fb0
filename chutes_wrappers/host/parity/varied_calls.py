"""Another example of the same call, for a service that refuses to create the same item twice. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.host.parity.comparison import HttpResponse

_CREATING_METHODS = ("POST", "PUT")
_CONFLICT = re.compile(
    r"already (exists?|taken|used|in use|registered)|duplicate|must be unique|unique constraint", re.IGNORECASE
)
# Keywords of a schema that another text may not fulfil.
_LIMITING = frozenset({"enum", "const", "pattern", "format", "maxLength", "$ref", "contentMediaType"})


def is_conflict(status: int, response: HttpResponse) -> bool:
    """Return whether a service refuses to create what exists: 409, or another refusal that says so."""
    if status == HTTPStatus.CONFLICT:
        return True
    return 400 <= status < 500 and bool(_CONFLICT.search(response.body[:4000].decode("utf-8", "replace")))


def vary_example(cord: PlannedCord, example: Mapping[str, Any], token: str) -> dict[str, Any] | None:
    """Return ``example`` with ``token`` added to the texts of its body, and other UUIDs; None if nothing may be changed.

    Parameters, and texts that a schema limits, stay.
    """
    if cord.route.upstream_method not in _CREATING_METHODS:
        return None
    parameters = {each.name for each in cord.route.parameters}
    properties = (cord.route.input_schema or {}).get("properties", {})
    varied = {
        name: _vary(value, properties.get(name), token)
        for name, value in example.items()
        if isinstance(value, str) and name not in parameters
    }
    return {**example, **varied} if any(value != example[name] for name, value in varied.items()) else None


def _vary(value: str, schema: Any, token: str) -> str:
    schema = schema if isinstance(schema, Mapping) else {}
    if schema.get("format") == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, value + token))
    if (
        not value
        or not _LIMITING.isdisjoint(schema)
        or schema.get("type", "string") not in ("string", ["string", "null"])
    ):
        return value
    return f"{value}-{token}"
