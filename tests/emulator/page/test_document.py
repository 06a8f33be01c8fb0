from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from chutes_wrappers.core.body_schemas import BINARY, FILE
from chutes_wrappers.emulator.page.document import build_document
from tests.emulator.records import make_chute_record, make_cord_record

FORM = "multipart/form-data"


def build_operation(schema: dict[str, Any] | None, method: str = "POST", **cord: Any) -> dict[str, Any]:
    chute = make_chute_record(
        make_cord_record(public_api_path="/a", public_api_method=method, input_schema=schema, **cord)
    )
    document = build_document(chute, "/emulator/call/slug")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    result: dict[str, Any] = document["paths"]["/a"][method.lower()]
    return result


def make_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties][:1]}


def test_a_json_body_is_shown_unchanged() -> None:
    schema = make_schema(text={"type": "string"})
    assert build_operation(schema)["requestBody"]["content"] == {"application/json": {"schema": schema}}


def test_a_body_with_files_is_shown_as_a_form_with_inputs_for_them() -> None:
    operation = build_operation(make_schema(sound=FILE, more={"type": "array", "items": FILE}, n={"type": "integer"}))
    schema = operation["requestBody"]["content"][FORM]["schema"]
    binary = {"type": "string", "format": "binary"}
    assert schema["properties"] == {
        "sound": binary,
        "more": {"type": "array", "items": binary},
        "n": {"type": "integer"},
    }
    assert schema["required"] == ["sound"]


def test_a_body_of_bytes_is_one_file() -> None:
    operation = build_operation(BINARY)
    assert operation["x-bytes"] is True
    assert list(operation["requestBody"]["content"][FORM]["schema"]["properties"]) == ["data"]


def test_a_get_has_its_fields_in_the_query_string() -> None:
    (parameter,) = build_operation(make_schema(letters={"type": "string"}), method="GET")["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("letters", "query", True)


def test_responses_have_the_cords_media_type_and_streams_are_events() -> None:
    sound = build_operation(None, output_content_type="audio/wav")
    assert list(sound["responses"]["200"]["content"]) == ["audio/wav"]
    assert list(build_operation(None, stream=True)["responses"]["200"]["content"]) == ["text/event-stream"]


def test_of_two_cords_on_one_path_the_first_is_shown() -> None:
    cords = [make_cord_record(public_api_path="/a", function=name, path=f"/{name}") for name in ("first", "second")]
    assert build_document(make_chute_record(*cords), "/x")["paths"]["/a"]["post"]["operationId"] == "first"


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "anyOf", "properties", "x"]), inner),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["type", "properties", "allOf", "anyOf", "items", "required"]), JSON))
def test_an_invalid_schema_does_not_break_the_page(schema: dict[str, Any]) -> None:
    build_document(
        make_chute_record(
            make_cord_record(input_schema=schema), make_cord_record(public_api_method="GET", input_schema=schema)
        ),
        "/x",
    )
