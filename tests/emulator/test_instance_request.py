from __future__ import annotations

import json

import pytest

from chutes_wrappers.emulator.instance_request import RequestRejected, prepare_call, slug_of
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord
from tests.emulator.platforms import make_chute_record


@pytest.mark.parametrize(
    ("host", "slug"),
    [
        ("me-chute.localhost:8000", "me-chute"),
        ("ME-Chute.localhost", "me-chute"),
        ("me-chute.chutes.ai", "me-chute"),
        ("localhost:8000", None),
        ("127.0.0.1:8000", None),
        ("api.example.com", None),
        (".localhost", None),
        ("a.b.localhost", None),
        ("", None),
    ],
)
def test_the_slug_is_the_first_label_of_a_chute_host(host: str, slug: str | None) -> None:
    assert slug_of(host) == slug


def chute(*, passthrough: bool) -> ChuteRecord:
    cord = CordRecord(
        method="POST", path="/in", public_api_path="/out", public_api_method="POST", stream=False,
        passthrough=passthrough, function="f",
    )  # fmt: skip
    return make_chute_record(cords=(cord,))


def test_a_passthrough_gets_body_and_query_and_other_cords_the_body() -> None:
    call = ("POST", "/out", "a=1&a=2&b=", "application/json")
    for is_passthrough, payload in ((True, {"json": {"n": 1}, "params": {"a": "2", "b": ""}}), (False, {"n": 1})):
        body = bytearray(b'{"n": 1}')
        assert prepare_call(chute(passthrough=is_passthrough), *call, body).payload == payload
        assert body == b""


@pytest.mark.parametrize("body", [{"stream": True}, {"stream": "yes"}, {"stream": 1}])
def test_a_truthy_stream_field_requests_a_stream(body: object) -> None:
    sent = bytearray(json.dumps(body).encode())
    assert prepare_call(chute(passthrough=False), "POST", "/out", "", "", sent).wants_stream


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[" * 100_000, 400), (b"[1]", 500), (b'"x"', 500), (b"null", 500), (b"1", 500)],
)
def test_a_body_that_is_not_an_object_is_rejected(body: bytes, status: int) -> None:
    with pytest.raises(RequestRejected) as refused:
        prepare_call(chute(passthrough=False), "POST", "/out", "", "application/json", bytearray(body))
    assert refused.value.status == status
