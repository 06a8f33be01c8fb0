"""Made-up credentials, for a service that wants some and accepts any: its keys are checked elsewhere, or it is a mock. Pure."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.routes import Parameter

DENIED_STATUSES = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_KEY = "made-up-key"
_BASIC = "Basic " + base64.b64encode(b"made-up-user:made-up-password").decode()


def build_credentials(cord: PlannedCord, known_names: Collection[str] = ()) -> dict[str, str]:
    """Return a value for each credential that ``cord`` declares, without ``known_names``, whose letters have any case."""
    known = {name.lower() for name in known_names}
    return {
        parameter.name: _make_up(cord, parameter)
        for parameter in cord.route.parameters
        if parameter.credential and parameter.name.lower() not in known
    }


def find_made_up(cord: PlannedCord, example: Mapping[str, Any]) -> list[str]:
    """Return the names of the credentials in ``example`` that are made up."""
    return [name for name, value in build_credentials(cord).items() if example.get(name) == value]


def _make_up(cord: PlannedCord, parameter: Parameter) -> str:
    if parameter.name.lower() != "authorization":
        return _KEY
    # Discovery writes there which scheme the specification names.
    schema = (cord.route.input_schema or {}).get("properties", {}).get(parameter.name, {})
    description = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return _BASIC if str(description).startswith("The whole value: Basic") else f"Bearer {_KEY}"
