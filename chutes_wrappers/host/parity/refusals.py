"""What a service said to a refused example, and the lines of the module that help. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from chutes_wrappers.core.module_headers import format_secret_command
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.discovery.credentials import Refusal as DiscoveryRefusal
from chutes_wrappers.host.discovery.credentials import list_credentials, suggest_header
from chutes_wrappers.host.parity.comparison import HttpResponse, is_failure_status
from chutes_wrappers.host.parity.outcomes import Outcome

_MAX_WORDS = 300
_MAX_ROUTES = 5
_MAX_FIELDS = 12
_NAME_KEYS = ("detail", "message", "msg", "error", "title", "errors", "description", "reason")
# Values of made-up examples and ids in a message would make each route's words different.
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f-]{8,}\b|\d+|/\S+")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A status of a service with its own words, the routes that got it, and what helps; its further lines are to be pasted."""

    status: int
    words: str
    routes: tuple[str, ...]
    advice: str

    def format_title(self) -> str:
        """Return the routes and the status in one line."""
        rest = len(self.routes) - _MAX_ROUTES
        names = ", ".join(self.routes[:_MAX_ROUTES]) + (f" and {rest} more" if rest > 0 else "")
        meaning = "credentials are missing or wrong: " if _is_denied(self.status) else ""
        verb = "itself failed" if is_failure_status(self.status) else "refused the example"
        return f"{meaning}the service {verb} with {self.status}: {names}"


def list_refusals(outcomes: Sequence[Outcome], chute: str, variables: Sequence[str] = ()) -> list[Refusal]:
    """Return the refusals of examples, each one's words once, with the routes that got them.

    ``chute`` is the name of the module's chute, ``variables`` are those that its CHUTE_HEADERS send.
    """
    groups: dict[tuple[int, str], list[tuple[Outcome, HttpResponse]]] = {}
    for outcome in outcomes:
        response = outcome.service_response
        is_refused = response is not None and outcome.verdict.kind == "not proven" and response.status >= 400
        if is_refused and response is not None and not outcome.is_excused:
            key = response.status, _VARYING.sub("…", quote_words(response))
            groups.setdefault(key, []).append((outcome, response))
    names = {
        (each.cord.route.upstream_method, each.cord.route.target_path.rstrip("/")): each.name
        for each in outcomes
        if each.cord and each.verdict.kind == "proven"
    }
    refusals = [_build_refusal(status, group, chute, names) for (status, _), group in groups.items()]
    return [
        replace(each, advice=_advise_variables(variables)) if variables and _is_denied(each.status) else each
        for each in refusals
    ]


def _is_denied(status: int) -> bool:
    return status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)


def _advise_variables(variables: Sequence[str]) -> str:
    return f"correct the value of {' or '.join(variables)}, which CHUTE_HEADERS sends, or the header that it is sent in"


def _build_refusal(
    status: int, group: Sequence[tuple[Outcome, HttpResponse]], chute: str, names: Mapping[tuple[str, str], str]
) -> Refusal:
    outcomes = [outcome for outcome, _ in group]
    return Refusal(
        status=status,
        words=quote_words(group[0][1]),
        routes=tuple(dict.fromkeys(outcome.name for outcome in outcomes)),
        advice=_advise(status, outcomes, [response for _, response in group], chute, names),
    )


def quote_words(response: HttpResponse) -> str:
    """Return the service's own words in one line of at most 300 characters."""
    text = "; ".join(_find_texts(response.json())) or response.body[:2000].decode("utf-8", "replace")
    return clean_text(" ".join(re.sub(r"<[^>]*>", " ", text).split()))[:_MAX_WORDS]


def _find_texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the sentences of an error in JSON: problem details, FastAPI's list, or those of other frameworks."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for item in value[:_MAX_FIELDS]:
            yield from _find_texts(item, depth + 1)
    elif isinstance(value, Mapping) and depth < 4:
        place = ".".join(map(str, value["loc"])) if isinstance(value.get("loc"), list) else ""
        texts = [text for key in _NAME_KEYS if key in value for text in _find_texts(value[key], depth + 1)]
        yield from ([f"{place}: {text}" for text in texts] if place else texts)


def _advise(
    status: int,
    outcomes: Sequence[Outcome],
    responses: Sequence[HttpResponse],
    chute: str,
    names: Mapping[tuple[str, str], str],
) -> str:
    first = outcomes[0]
    if _is_denied(status):
        return _advise_credentials(outcomes, responses, chute)
    if is_failure_status(status):
        fields = _list_fields(first, responses[0])
        lines = _paste(first, fields) if fields else _paste_rule(first, '"skip": "the reason"')
        return (
            f"read in the service's log why it failed; then give an example with which it works, or excuse it:\n{lines}"
        )
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        sent = dict(first.request.headers).get("Content-Type") if first.request else None
        reason = f"the service does not take {sent}" if sent else "the service wants a body with a media type"
        return (
            f"{reason}. Correct the request of the route in CHUTE_STATIC_ROUTES; a route that discovery found stays, so give "
            f"yours another path:\n    {_format_typed_route(first)}"
        )
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) and "{" in _target_path(first):
        return "the value in the path is made up; take one that exists, or one of another route's response:\n" + _paste(
            first, _list_fields(first, responses[0], names)
        )
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        rule = _paste_rule(first, f'"status": {status}')
        return f"discover again if the service changed, or expect the status:\n{rule}"
    if fields := _list_fields(first, responses[0]):
        return "give an example with which it works:\n" + _paste(first, fields)
    rule = '"skip": "the reason"' if status >= 500 else f'"status": {status}'
    return f"if this is its normal response, expect it:\n{_paste_rule(first, rule)}"


def _format_typed_route(outcome: Outcome) -> str:
    path = outcome.call.path
    method = outcome.cord.route.method if outcome.cord is not None else outcome.call.method
    route = {"path": f"{path.rstrip('/')}/typed", "method": method, "target_path": _target_path(outcome) or path}
    return _format_value({**route, "request": {"encoding": "json", "content_type": "application/json"}})


def _target_path(outcome: Outcome) -> str:
    return outcome.cord.route.target_path if outcome.cord is not None else ""


def _advise_credentials(outcomes: Sequence[Outcome], responses: Sequence[HttpResponse], chute: str) -> str:
    routes = [outcome.cord.route for outcome in outcomes if outcome.cord is not None]
    declared = list_credentials(routes)
    if declared and all(parameter.place == "query" for parameter in declared):
        name = declared[0].name
        return (
            f"callers send it as {name!r}; for the check set one that works in CHUTE_EXAMPLES:\n"
            f'    CHUTE_EXAMPLES = {{"{outcomes[0].name}": {{{json.dumps(name)}: "…"}}}}'
        )
    challenge = next((response.challenge for response in responses if response.challenge), "Bearer")
    suggestion = suggest_header(routes, [DiscoveryRefusal(port=0, path="", status=0, challenge=challenge)])
    if suggestion is None:  # another scheme
        suggestion = suggest_header(routes, [DiscoveryRefusal(port=0, path="", status=0, challenge="Bearer")])
    assert suggestion is not None
    names = " or ".join(repr(parameter.name) for parameter in declared)
    alternative = f"; or callers send it as {names}, which the route has" if names else ""
    return (
        f"send the service's key with every call, by a line above register_passthrough_routes{alternative}:\n"
        f"    {suggestion.line}\n"
        f"    export {suggestion.variable}=…    # {suggestion.meaning}; "
        f"on the platform: {format_secret_command(chute, suggestion.variable)}"
    )


def _paste(outcome: Outcome, fields: Mapping[str, Any]) -> str:
    return f"    CHUTE_EXAMPLES = {_format_value({outcome.name: fields})}"


def _format_value(value: Any) -> str:
    """Return a JSON value as Python writes it, with the strings in double quotes."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_format_value(key)}: {_format_value(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _paste_rule(outcome: Outcome, rule: str) -> str:
    return f'    CHUTE_CHECKS = {{"{outcome.name}": {{{rule}}}}}'


def _list_fields(
    outcome: Outcome, response: HttpResponse, names: Mapping[tuple[str, str], str] | None = None
) -> dict[str, Any]:
    """Return the skeleton of an example: the fields that were sent, and those that the service named.

    With ``names`` of the routes by method and target path, variables of the path have a value of another route, if there is one.
    """
    hidden = {each.name for each in outcome.cord.route.parameters if each.credential} if outcome.cord else set()
    sent = {name: "…" if name in hidden else _shorten(value) for name, value in outcome.call.example.items()}
    missing = dict.fromkeys(_find_named_fields(response.json()), "…")
    if names is None or outcome.cord is None:
        return dict([*{**sent, **missing}.items()][:_MAX_FIELDS])
    variables = [each.name for each in outcome.cord.route.parameters if each.place == "path"]
    return {**sent, **{name: _suggest_value(_target_path(outcome), name, names) for name in variables}}


def _suggest_value(path: str, variable: str, names: Mapping[tuple[str, str], str]) -> Any:
    """Return where the value of a path's variable may come from: the route that creates or lists such items."""
    collection = path.partition("/{" + variable)[0]
    if creating := names.get(("POST", collection)):
        return {"answer_of": creating, "pointer": "/id"}
    listing = names.get(("GET", collection))
    return {"answer_of": listing, "pointer": "/0/id"} if listing else "…"


def _shorten(value: Any) -> Any:
    return "…" if isinstance(value, Mapping | list) or len(str(value)) > 40 else value


def _find_named_fields(value: Any) -> Iterator[str]:
    """Yield the fields that an error names: FastAPI's ``loc``, a pointer or a name of problem details."""
    details = value.get("detail", value.get("errors")) if isinstance(value, Mapping) else None
    for item in details if isinstance(details, list) else ():
        if not isinstance(item, Mapping):
            continue
        place = item.get("loc")
        if isinstance(place, list) and len(place) > 1:
            yield str(place[1])
        elif isinstance(name := item.get("pointer", item.get("field", item.get("name"))), str):
            yield name.lstrip("#/").partition("/")[0]
    if isinstance(details, Mapping):
        yield from map(str, details)
