"""The example call of each cord, as a client of the chute makes it, and the order of these calls. Pure but for the examples' files."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import STREAM_SWITCH
from chutes_wrappers.host.modules.module_examples import Examples, find_referenced_routes, resolve_example
from chutes_wrappers.host.parity.call_order import sort_by_need
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.made_up_credentials import find_made_up
from chutes_wrappers.host.parity.schema_examples import build_all_properties, build_example_body, select_property
from chutes_wrappers.host.parity.stories import StorySource, find_value, is_listed, plan_stories, rank_in_story


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
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            for name, value in fields.items()
        }

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON body of a POST, empty for a method without a body."""
        return {} if self.method in BODILESS_METHODS else self.example


@dataclass(frozen=True, kw_only=True)
class ExampleCalls:
    """The example calls of ``cords``. ``examples`` are those of the module, with their files under ``folder``.

    ``document_examples`` are complete ones by the name of the cord, and ``links`` the sources that the specification declares
    for parameters. ``header_names`` returns the headers that the module sets for a cord: they get no made-up value.
    """

    cords: Sequence[PlannedCord]
    examples: Examples
    folder: Path
    document_examples: Examples = field(default_factory=dict)
    links: Mapping[str, Sequence[StorySource]] = field(default_factory=dict)
    header_names: Callable[[PlannedCord], Collection[str]] = lambda cord: ()

    def sort_cords(self) -> list[PlannedCord]:
        """Return the cords; one whose example needs the response of another comes after it, and what deletes comes last."""
        by_story = sorted(self.cords, key=rank_in_story)
        return sort_by_need(by_story, lambda cord: self.find_sources(cord) | self.find_story_sources(cord))

    def find_sources(self, cord: PlannedCord) -> set[str]:
        """Return the names of the cords whose responses the module's example of ``cord`` contains."""
        return {*find_referenced_routes(self.examples.get(cord.name))}

    def find_story_sources(self, cord: PlannedCord) -> set[str]:
        """Return the names of the cords whose responses may have values for ``cord``; without one its example has others."""
        return {source.source for source in self._stories.get(cord.name, ())}

    def build_call(
        self,
        cord: PlannedCord,
        get_response: Callable[[str], HttpResponse],
        get_request: Callable[[str], Mapping[str, Any] | None] = lambda name: None,
    ) -> PublicCall:
        """Return the call of ``cord``; ``get_response`` returns the response of another by its name.

        ``get_request`` returns the public JSON that was sent to it, None if that is its example.
        Raises ConfigurationError for a file of an example that cannot be read, and MissingValue for a pointer of an example
        that finds nothing.
        """
        module_example = self.examples.get(cord.name)
        if module_example is not None:
            example = resolve_example(module_example, self.folder, get_response)
        else:
            own = self._build_own_example(cord)
            example = {**own, **self._find_story_values(cord, get_response, get_request, own)}
        return PublicCall(method=cord.public_method, path=cord.public_path, example=_set_stream_field(cord, example))

    def build_fuller(self, cord: PlannedCord, example: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return ``example`` with all fields of the body, if it has none and the schema requires none; otherwise None.

        Many services refuse to change an item without a field to change.
        """
        parameters = {each.name for each in cord.route.parameters}
        if cord.name in self.examples or not example.keys() <= parameters or cord.route.gradio is not None:
            return None
        fields = build_all_properties(cord.route.input_schema or {})
        fuller = {**{name: value for name, value in fields.items() if name not in parameters}, **example}
        return fuller if fuller.keys() > example.keys() else None

    def list_recorded_examples(self, sent: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the document's examples, with the fields that the check had to add to them: ``sent`` has them by name.

        Parameters that only the module knows are left out: they may be secret.
        """
        recorded = {name: dict(example) for name, example in self.document_examples.items()}
        for cord in self.cords:
            name, parameters = cord.name, {each.name for each in cord.route.parameters}
            example = sent.get(name, {}) if name not in self.examples else {}
            made_up = find_made_up(cord, example)
            own = self._build_own_example(cord) if example else {}
            if made_up:
                hidden = {*parameters, *own} - {*made_up}
                recorded[name] = {**own, **{key: value for key, value in example.items() if key not in hidden}}
        return recorded

    @cached_property
    def _stories(self) -> dict[str, tuple[StorySource, ...]]:
        """The sources of the cords that have no example of the module: declared links, then what the paths suggest."""
        names = {cord.name for cord in self.cords}
        suggested = plan_stories(self.cords)
        sources = {name: (*self.links.get(name, ()), *suggested.get(name, ())) for name in names - self.examples.keys()}
        return {name: tuple(each for each in own if each.source in names) for name, own in sources.items() if own}

    def _build_own_example(self, cord: PlannedCord) -> dict[str, Any]:
        declared = self.document_examples.get(cord.name)
        example = declared if declared is not None else build_example_body(cord.route)
        own = {name.lower() for name in self.header_names(cord)}
        headers = {each.name for each in cord.route.parameters if each.place == "header" and each.name.lower() in own}
        return {name: value for name, value in example.items() if name not in headers}

    def _find_story_values(
        self,
        cord: PlannedCord,
        get_response: Callable[[str], HttpResponse],
        get_request: Callable[[str], Mapping[str, Any] | None],
        own: Mapping[str, Any],
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for source in self._stories.get(cord.name, ()):
            if source.parameter not in values:
                sent = get_request(source.source)
                request = sent if sent is not None else self._build_source_example(source.source)
                response = get_response(source.source)
                value = find_value(source, response, request)
                if source.is_default and is_listed(own.get(source.parameter), response):
                    continue  # the service has what the example names
                allowed = select_property(cord.route.input_schema or {}, source.parameter, value)
                values |= {source.parameter: allowed[0]} if value is not None and allowed else {}
        return values

    def _build_source_example(self, name: str) -> Mapping[str, Any]:
        """Return the example of the cord with this name, without the values of its own story."""
        if name in self.examples:
            return self.examples[name]
        return next((self._build_own_example(cord) for cord in self.cords if cord.name == name), {})


def _set_stream_field(cord: PlannedCord, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``example`` with the caller's ``stream`` field, if the route has two cords."""
    if cord.route.stream != STREAM_SWITCH:
        return dict(example)
    rest = {name: value for name, value in example.items() if name != "stream"}
    return {**rest, "stream": True} if cord.stream else rest
