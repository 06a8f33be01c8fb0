"""The example call of each cord, as a client of the chute makes it, and the order of these calls. Pure but for the examples' files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.modules.module_examples import Examples, find_referenced_routes, resolve_example
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.schema_examples import build_example_body


@dataclass(frozen=True, kw_only=True)
class PublicCall:
    """A call as a client of the chute makes it. The example is the query string of a GET, or the JSON body of a POST."""

    method: str
    path: str
    example: Mapping[str, Any]

    @property
    def query(self) -> dict[str, str]:
        """The query string of a method without a body, empty for a POST."""
        fields = self.example if self.method in BODILESS_METHODS else {}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in fields.items()
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON body of a POST, empty for a method without a body."""
        return {} if self.method in BODILESS_METHODS else self.example


@dataclass(frozen=True, kw_only=True)
class ExampleCalls:
    """The example calls of ``cords``. ``examples`` are those of the module, with their files under ``folder``."""

    cords: Sequence[PlannedCord]
    examples: Examples
    folder: Path

    def sort_cords(self) -> list[PlannedCord]:
        """Return the cords; one whose example needs the response of another comes after it."""
        waiting, ordered = list(self.cords), []
        while waiting:
            open_names = {format_name(cord) for cord in waiting}
            ready = [cord for cord in waiting if not open_names & self.find_sources(cord)]
            ordered += ready or waiting  # a cycle: its responses will be reported as missing
            waiting = [cord for cord in waiting if ready and cord not in ready]
        return ordered

    def find_sources(self, cord: PlannedCord) -> set[str]:
        """Return the names of the cords whose responses the example of ``cord`` contains."""
        return {*find_referenced_routes(self.examples.get(format_name(cord)))}

    def build_call(self, cord: PlannedCord, get_response: Callable[[str], HttpResponse]) -> PublicCall:
        """Return the call of ``cord``; ``get_response`` returns the response of another by its name.

        Raises ConfigurationError for a file of an example that cannot be read.
        """
        module_example = self.examples.get(format_name(cord))
        example = (
            build_example_body(cord.route)
            if module_example is None
            else resolve_example(module_example, self.folder, get_response)
        )
        return PublicCall(method=cord.public_method, path=cord.public_path, example=_set_stream_field(cord, example))


def format_name(cord: PlannedCord) -> str:
    """Return public method and path of a cord, as ``CHUTE_EXAMPLES`` names it."""
    return f"{cord.public_method} {cord.public_path}"


def _set_stream_field(cord: PlannedCord, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``example`` with the caller's ``stream`` field, if the route has two cords."""
    if cord.route.stream != STREAM_SWITCH:
        return dict(example)
    rest = {name: value for name, value in example.items() if name != "stream"}
    return {**rest, "stream": True} if cord.stream else rest
