"""The API responds to any body, and never with a 500."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.tokens import TOKEN

from .client import CORD, Client, make_definition

_QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def is_handled(response: requests.Response) -> bool:
    return response.status_code < 500


@_QUIET
@given(
    st.sampled_from(["/chutes/", "/chutes/share", "/api_keys/", "/secrets/", f"/users/register?token={TOKEN}"]), _VALUES
)
def test_any_json(user: Client, path: str, value: Any) -> None:
    assert is_handled(user.post(path, value))


@_QUIET
@given(st.sampled_from(sorted(make_definition())), _VALUES)
def test_any_value_in_a_deployment(user: Client, name: str, value: Any) -> None:
    assert is_handled(user.deploy(**{name: value}))


@_QUIET
@given(st.sampled_from(sorted(CORD)), _VALUES)
def test_any_value_in_a_cord(user: Client, name: str, value: Any) -> None:
    assert is_handled(user.deploy(cords=[{**CORD, name: value}]))


@_QUIET
@given(st.sampled_from(["name", "tag", "readme", "public", "logo_id", "dockerfile", "username"]), st.text(max_size=20))
def test_any_text_in_an_upload(user: Client, name: str, value: str) -> None:
    response = user.build(context=None, **{"tag": "v1", name: value})
    assert is_handled(response) or name in ("name", "tag")  # an invalid one ends in a 500 without a reason


@pytest.mark.parametrize("text", ["a\ud800b", "\udc80", "\udfff\ud83d"])
def test_a_lone_surrogate_is_refused_and_spoils_no_list(user: Client, text: str) -> None:
    user.build_and_wait()
    schema = {**CORD, "input_schema": {"x": [text]}}
    for response in (
        *(user.deploy(tagline=text), user.deploy(readme=text), user.deploy(cords=[schema])),
        *(
            user.put("/chutes/case", {"tagline": text}),
            user.post("/secrets/", {"purpose": text, "key": "K", "value": ""}),
        ),
        user.post("/api_keys/", {"name": "k", "admin": True, "scopes": [{"object_type": "chutes", "object_id": text}]}),
    ):
        assert (response.status_code, response.json()["detail"][0]["type"]) == (422, "string_unicode")
    assert user.deploy(tagline="a pair: \U0001f600").json()["tagline"] == "a pair: \U0001f600"
    assert all(user.get(path).ok for path in ("/chutes/", "/secrets/", "/api_keys/"))


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain", ""])
@pytest.mark.parametrize("path", ["/images/", "/logos/"])
@pytest.mark.parametrize(
    "body", [b"--x\r\n", b"\xff\xfe", b'--x\r\nContent-Disposition: form-data; name="tag"\r\n\r\n\xff\r\n--x--']
)
def test_an_invalid_form(user: Client, path: str, content_type: str, body: bytes) -> None:
    headers = {**user.headers(body), "Content-Type": content_type}
    assert is_handled(requests.post(f"{user.url}{path}", data=body, headers=headers, timeout=60))


@pytest.mark.parametrize("number", ["-1", "9" * 30, "x", "1e9"])
def test_any_number_in_a_query(user: Client, number: str) -> None:
    user.build_and_wait()
    for path in ("/images/", "/chutes/", "/api_keys/", "/secrets/"):
        assert is_handled(user.get(path, page=number))
        assert is_handled(user.get(path, limit=number))
    assert is_handled(user.get("/images/case:v1/logs", offset=number))
