"""The gateway and the direct client send the same request for the same document, although they share no code for it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.host.discovery.specification import read_operations
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.service_document import ServiceDocument
from chutes_wrappers.runtime.call_request import build_request
from tests.host.document_client.documents import PORT, make_document, make_parameter

Request = tuple[str, str, list[tuple[str, str]], dict[str, str], bytes]

# A path value that is empty, or dots alone, would be another path.
TEXTS = st.text("ab zé/,;=&?+%|~\"'[]", min_size=1, max_size=5).map(lambda text: f"x{text}")
SCALARS = TEXTS | st.integers(-9, 9) | st.booleans()
LISTS = st.lists(SCALARS, min_size=1, max_size=3)
OBJECTS = st.dictionaries(st.sampled_from(["R", "G b", "B,c"]), SCALARS, min_size=1, max_size=3)
TYPES: dict[str, st.SearchStrategy[Any]] = {"string": TEXTS, "array": LISTS, "object": OBJECTS}
STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}


def build_both(document: dict[str, Any], example: dict[str, Any]) -> tuple[Request, Request]:
    """Return the gateway's and the direct client's request for a call with ``example`` as its JSON body, comparable."""
    route = read_operations(document, port=PORT, prefix="", expose=["parameters"]).routes[0]
    cord = plan_cords([route], PORT, expose=["parameters"]).cords[0]
    sent = build_request(cord.route, PORT, {"json": dict(example), "params": {}})
    direct = DirectClient(documents={PORT: ServiceDocument(document)}).build_request(cord.route, PORT, example)
    body = sent.make_data() or b""
    return _normalise(sent.method, sent.target, dict(sent.headers), body), _normalise(
        direct.method, direct.target, dict(direct.headers), direct.body
    )


def _normalise(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    path, _, query = target.partition("?")
    return method, unquote(path), parse_qsl(query, keep_blank_values=True), headers, body


@st.composite
def parameters(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """Return a parameter, and a value of its type."""
    place = draw(st.sampled_from(sorted(STYLES)))
    style, kind = draw(st.sampled_from(STYLES[place])), draw(st.sampled_from(sorted(TYPES)))
    if style == "deepObject":
        kind = "object"
    value = draw(TYPES[kind])
    if place == "cookie" and kind == "object":  # its keys become names of cookies
        value = {key.translate({32: "_", 44: "_"}): item for key, item in value.items()}
    format_ = {"style": style, "explode": draw(st.booleans()), "required": True}
    return make_parameter("p", place, {"type": kind}, **format_), value


@given(parameters())
def test_parameters_of_every_style(case: tuple[dict[str, Any], Any]) -> None:
    parameter, value = case
    path = "/x/{p}" if parameter["in"] == "path" else "/x"
    document = make_document({"parameters": [parameter]}, path=path, method="post")
    sent, direct = build_both(document, {"p": value})
    assert sent == direct


FORM = {"type": "object", "properties": {"a": {}, "b": {"type": "object"}, "c": {"type": "array"}}}


@pytest.mark.parametrize(
    ("media_type", "media", "example"),
    [
        ("application/json;v=2.0", {"schema": {"type": "object"}}, {"a": 1.5}),
        ("application/json", {"schema": {"type": "array"}}, {"body": ["é"]}),
        ("application/vnd.x+json", {}, {"body": {"body": 1}}),
        ("application/x-www-form-urlencoded", {"schema": FORM}, {"a": "x y&z", "b": {"k": 1}, "c": ["1", 2]}),
        ("application/x-www-form-urlencoded",
         {"schema": FORM, "encoding": {"b": {"style": "deepObject"}, "c": {"explode": False}}},
         {"b": {"k": [1, {"l": 2}]}, "c": ["a", "b"]}),
        ("text/plain; charset=latin-1", {}, {"text": "é"}),
        ("application/jsonl", {"itemSchema": {}}, {"body": [{"a": 1}, 2]}),
        ("audio/wav", {}, {"data": "UklGRg=="}),
    ],
)  # fmt: skip
def test_bodies_of_every_kind(media_type: str, media: dict[str, Any], example: dict[str, Any]) -> None:
    operation = {"requestBody": {"content": {media_type: media}, "required": True}}
    sent, direct = build_both(make_document(operation, method="post", version="3.2.0"), example)
    assert sent[:4] == direct[:4]
    assert _parse_body(media_type, sent[4]) == _parse_body(media_type, direct[4])


def _parse_body(media_type: str, body: bytes) -> Any:
    return parse_qsl(body.decode()) if "urlencoded" in media_type else body
