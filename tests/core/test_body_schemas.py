from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from chutes_wrappers.core.body_schemas import BINARY, FILE, LINES, TEXT, build_fallback_schema
from chutes_wrappers.core.routes import RequestFormat


@pytest.mark.parametrize(
    ("schema", "value", "is_valid"),
    [
        (FILE, {"data": "YQ=="}, True),
        (FILE, {"filename": "a.wav", "content_type": "audio/wav", "data": "YQ=="}, True),
        (FILE, "data:audio/wav;base64,YQ==", True),
        (FILE, {"filename": "a.wav"}, False),
        (FILE, {"filename": 1, "data": "YQ=="}, False),
        (FILE, 5, False),
        (TEXT, {"text": "a", "content_type": "text/plain"}, True),
        (TEXT, {"content_type": "text/plain"}, False),
        (TEXT, "a", False),
        (BINARY, {"data": "YQ==", "content_type": "audio/wav"}, True),
        (BINARY, {"text": "a"}, False),
        (BINARY, {"data": 5}, False),
    ],
)
def test_a_body_is_described_as_it_is_read(schema: dict[str, Any], value: object, is_valid: bool) -> None:
    assert jsonschema.Draft202012Validator(schema).is_valid(value) is is_valid


@pytest.mark.parametrize(
    ("request_", "schema"),
    [
        (None, None),
        (RequestFormat(encoding="json"), None),
        (RequestFormat(encoding="form"), None),
        (RequestFormat(encoding="none"), None),
        (RequestFormat(encoding="text"), TEXT),
        (RequestFormat(encoding="binary"), BINARY),
        (RequestFormat(encoding="lines"), LINES),
        (RequestFormat(encoding="multipart"), None),
        (RequestFormat(encoding="multipart", files=()), None),
        (
            RequestFormat(encoding="multipart", files=("a", "b")),
            {"type": "object", "properties": {"a": FILE, "b": FILE}},
        ),
        (RequestFormat(encoding="json", files=("a",)), None),
    ],
)
def test_the_encoding_implies_a_fallback_schema(request_: RequestFormat | None, schema: dict[str, Any] | None) -> None:
    assert build_fallback_schema(request_) == schema
