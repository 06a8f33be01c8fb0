"""Random specifications, as real as ours can make them: nothing is lost, nothing collides, and the SDK takes everything."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from chutes.chute import Chute, NodeSelector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import CATEGORIES, LEFT_OUT
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import METHODS
from chutes_wrappers.host.discovery.specification import Operations, read_operations
from chutes_wrappers.host.public_api_document import build_api_document
from chutes_wrappers.sdk.cords import register_passthrough_routes

WORD = st.sampled_from(
    ["say", "Say", "voices", "v1.0", "stream", "static", "users", "{id}", "{name}.wav", "a b", "ü", "_x"]
)
PATH = st.lists(WORD, max_size=3).flatmap(
    lambda words: st.sampled_from(["", "/", "?x=1", "#part"]).map(lambda end: "/" + "/".join(words) + end)
)
NAME = st.sampled_from(["id", "name", "q", "stream", "body", "data", "X-Trace", "Accept", "text"])
SCHEMA: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([
        {"type": "string"}, {"type": "string", "format": "binary"}, {"type": "integer", "default": "x"}, {"type": "boolean"},
        {"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/%7BB%7D"}, {"$ref": "#/nowhere"}, {}, True,
        {"type": ["string", "null"]}, {"type": "dog"}, {"enum": [1, "a", None]}, {"pattern": "["}, 5,
    ]),
    lambda inner: st.one_of(
        st.dictionaries(NAME, inner, max_size=3).map(lambda properties: {"type": "object", "properties": properties}),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.tuples(st.sampled_from(["allOf", "anyOf", "oneOf"]), st.lists(inner, max_size=2)).map(lambda pair: dict([pair])),
    ),
    max_leaves=5,
)  # fmt: skip
MEDIA = st.sampled_from([
    "application/json", "multipart/form-data", "application/x-www-form-urlencoded", "text/plain", "application/xml",
    "image/*", "*/*", "text/event-stream", "application/vnd.x+json", "nonsense", "application/json;v=2", "application/jsonl",
])  # fmt: skip
ENCODING = st.dictionaries(
    NAME,
    st.fixed_dictionaries(
        {},
        optional={
            "style": st.sampled_from(["form", "deepObject", "odd"]),
            "explode": st.booleans(),
            "contentType": MEDIA,
            "headers": st.dictionaries(NAME, st.builds(dict, schema=SCHEMA), max_size=2),
        },
    ),
    max_size=2,
)
CONTENT = st.dictionaries(
    MEDIA,
    st.fixed_dictionaries({}, optional={"schema": SCHEMA, "encoding": ENCODING, "itemSchema": SCHEMA}),
    max_size=2,
)
PARAMETER = st.fixed_dictionaries(
    {"name": NAME, "in": st.sampled_from(["query", "path", "querystring", "header", "cookie", "body", "formData"])},
    optional={
        "schema": SCHEMA,
        "content": CONTENT,
        "type": st.sampled_from(["string", "array", "file"]),
        "style": st.sampled_from(["form", "deepObject", "odd"]),
        "explode": st.booleans(),
        "required": st.booleans(),
    },
)
OPERATION = st.fixed_dictionaries(
    {},
    optional={
        "parameters": st.lists(PARAMETER, max_size=3),
        "requestBody": st.builds(dict, content=CONTENT),
        "responses": st.dictionaries(
            st.sampled_from(["200", "201", "default"]), st.builds(dict, content=CONTENT), max_size=2
        ),
        "consumes": st.lists(MEDIA, max_size=2),
        "summary": st.text(max_size=20),
        "security": st.lists(
            st.dictionaries(st.sampled_from(["key", "bearer", "tls", "nowhere"]), st.just([])), max_size=2
        ),
    },
)
METHOD = st.sampled_from(["get", "post", "put", "patch", "delete", "head", "options", "trace", "query"])
DOCUMENT = st.fixed_dictionaries(
    {"paths": st.dictionaries(PATH, st.dictionaries(METHOD, OPERATION, max_size=3), max_size=6)},
    optional={"openapi": st.sampled_from(["3.0.3", "3.1.0"])},
)
COMPONENTS = {
    "securitySchemes": {
        "key": {"type": "apiKey", "in": "header", "name": "X-Trace"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "tls": {"type": "mutualTLS"},
    },
    "schemas": {
        "A": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/A"}}, "nullable": True},
        "{B}": {"allOf": [{"$ref": "#/components/schemas/A"}, {"required": ["stream"]}]},
    },
}
SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow])


def read_document(document: dict[str, Any], expose: Any = CATEGORIES) -> Operations:
    return read_operations({**document, "components": COMPONENTS}, port=8020, prefix="", expose=expose)


@SETTINGS
@given(DOCUMENT.filter(lambda document: document["paths"]))
def test_every_operation_is_a_route_or_skipped(document: dict[str, Any]) -> None:
    methods = [method.upper() for item in document["paths"].values() for method in item]
    exposed, default = read_document(document), read_document(document, expose=())
    assert len(exposed.routes) == sum(method in {*METHODS} - {"HEAD"} for method in methods)
    for operations in (exposed, default):
        assert len(operations.routes) + len(operations.skipped) == len(methods)
        assert all(route.target_path in document["paths"] for route in operations.routes)
        assert len({route.key for route in operations.routes}) == len(operations.routes)
        refusals = ("a response to HEAD has no body", LEFT_OUT)
        assert all(any(each in entry.reason for each in refusals) for entry in default.skipped)


@SETTINGS
@given(DOCUMENT.filter(lambda document: document["paths"]))
def test_the_sdk_accepts_every_route_and_the_document_is_valid(document: dict[str, Any]) -> None:
    routes = read_document(document).routes
    chute = Chute(
        username="tester",
        name="case",
        image="tester/case:v1",
        tee=True,
        node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    )
    register_passthrough_routes(chute, [route.to_entry() for route in routes], 8020)
    plan = plan_cords(routes, 8020)
    assert [cord.path for cord in chute.cords] == [cord.internal_path for cord in plan.cords]
    assert {cord.route.target_path for cord in plan.cords} == {route.target_path for route in routes}
    description = build_api_document(plan, name="case", version="1")
    assert list(OpenAPIV31SpecValidator(json.loads(description)).iter_errors()) == []
    assert build_api_document(plan, name="case", version="1") == description


@SETTINGS
@given(DOCUMENT.filter(lambda document: document["paths"]), st.randoms(use_true_random=False))
def test_a_manifest_is_stable_and_complete(document: dict[str, Any], shuffler: random.Random) -> None:
    # Slash twins apart, of which the first named has the path.
    document["paths"] = {path: item for path, item in document["paths"].items() if not path.endswith("/")} or {"/a": {}}
    operations = read_document(document)
    text = Manifest(routes=operations.routes, skipped=operations.skipped).to_json()
    assert sorted(map(repr, parse_manifest(text, where="x").routes)) == sorted(map(repr, operations.routes))
    items = list(document["paths"].items())
    shuffler.shuffle(items)
    again = read_document({**copy.deepcopy(document), "paths": dict(items)})
    assert Manifest(routes=again.routes, skipped=again.skipped).to_json() == text
