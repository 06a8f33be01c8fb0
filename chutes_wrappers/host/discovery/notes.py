"""How the notes of a discovery are shown: grouped by what they say, with the operations that they concern. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.declared_media import DeclaredResponse
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter

_LABELLED = re.compile(r"(\S+ /.*?|document): (.+)", re.DOTALL)
# Notes on what callers do not lose are shown last.
_MINOR = ("the body may also be ", "the response may also be ")
_MAX_MEDIA_TYPES = 5


def group_notes(notes: Iterable[str]) -> list[str]:
    """Return one line for each different text of ``notes``: ``GET /x and 3 other operations: …``."""
    labels_by_text: dict[str, list[str]] = {}
    for note in notes:
        match = _LABELLED.fullmatch(note)
        label, text = (match[1], match[2]) if match else ("", note)
        labels_by_text.setdefault(text, []).append(label)
    ordered = sorted(labels_by_text.items(), key=lambda item: item[0].startswith(_MINOR))
    return [f"{_format_labels(labels)}{text}" for text, labels in ordered]


def _format_labels(labels: list[str]) -> str:
    count = len(labels) - 1
    if not labels[0]:
        return ""
    return f"{labels[0]}{f' and {count} other operation' + 's' * (count > 1) if count else ''}: "


def describe_credentials(routes: Iterable[Route]) -> list[str]:
    """Return a line on the keys of calls that are credentials, and how a module sets them; empty without any."""
    names = [{parameter.name for parameter in route.parameters if parameter.credential} for route in routes]
    count = sum(map(bool, names))
    if not count:
        return []
    keys = ", ".join(f"`{name}`" for name in sorted(set[str]().union(*names)))
    routes_text = "1 route takes" if count == 1 else f"{count} routes take"
    return [
        f"{routes_text} credentials: callers send {keys} with each call, or CHUTE_HEADERS in the module sets the header"
    ]


def describe_other_responses(response: DeclaredResponse, parameters: Iterable[DeclaredParameter]) -> list[str]:
    """Return a note on the media types of a response that no call asks for; a parameter ``Accept`` can."""
    names = {declared.parameter.name.lower() for declared in parameters if declared.parameter.place == "header"}
    if not response.others or "accept" in names:
        return []
    others = ", ".join(response.others[:_MAX_MEDIA_TYPES])
    return [f"the response may also be {others}: no call asks for it with Accept"]
