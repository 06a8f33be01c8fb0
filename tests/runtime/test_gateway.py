"""The gateway against a real service with one of everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime import call_request, failure_attribution, startup, upstream
from chutes_wrappers.runtime import gateway as gateway_module
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.bodies import Body
from chutes_wrappers.runtime.call_errors import MAX_QUOTED_BYTES, CallFailed
from chutes_wrappers.runtime.gateway import CallResponse, Gateway
from chutes_wrappers.runtime.media_types import EMPTY_RESPONSE_TYPE
from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES
from chutes_wrappers.runtime.running_call import RunningCall
from tests.scenario import find_free_port
from tests.upstreams.http_fixture import EVERY_BYTE, HttpFixture, serve_http_fixture
from tests.upstreams.raw import serve_full_backlog, serve_reply


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway(timeout_s=60)
    yield made
    asyncio.run(BACKGROUND.run(made.close()))


def call(gateway: Gateway, service: HttpFixture, target: str, method: str = "GET", **options: Any) -> CallResponse:
    body, query = options.pop("json", {}), options.pop("params", {})
    route = Route.model_validate({"path": "/x", "target_path": target, "method": method, **options})
    return gateway.handle_call(route, service.port, {"json": body, "params": query})


def refusal(gateway: Gateway, service: HttpFixture, target: str, method: str = "GET", **options: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call(gateway, service, target, method, **options)
    return caught.value


def echoed(response: CallResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_reaches_the_service(gateway: Gateway, service: HttpFixture, method: str) -> None:
    assert echoed(call(gateway, service, "/echo", method))["method"] == method


def test_query_and_body_reach_the_service(gateway: Gateway, service: HttpFixture) -> None:
    echoed_request = echoed(call(gateway, service, "/echo", "POST", json={"a": 1}, params={"q": "é"}))
    assert (echoed_request["target"], json.loads(echoed_request["body"])) == ("/echo?q=%C3%A9", {"a": 1})
    assert echoed_request["content_type"] == "application/json"


def test_a_get_and_an_empty_delete_carry_no_body(gateway: Gateway, service: HttpFixture) -> None:
    for method in ("GET", "DELETE"):
        assert echoed(call(gateway, service, "/echo", method))["body"] == ""
    assert echoed(call(gateway, service, "/echo", "DELETE", json={"ids": [1]}))["body"] == '{"ids":[1]}'


def test_binary_responses_are_returned_unchanged(gateway: Gateway, service: HttpFixture) -> None:
    assert call(gateway, service, "/bytes") == CallResponse(content_type="audio/wav", body=EVERY_BYTE)


def test_a_compressed_response_is_decompressed(gateway: Gateway, service: HttpFixture) -> None:
    assert json.loads(call(gateway, service, "/gzip").body) == {"packed": True}


def test_an_empty_response_contains_its_status(gateway: Gateway, service: HttpFixture) -> None:
    response = call(gateway, service, "/status/204")
    assert (response.content_type, json.loads(response.body)) == (EMPTY_RESPONSE_TYPE, {"status": 204})


def test_a_success_with_another_status_than_200_says_it_in_its_media_type(
    gateway: Gateway, service: HttpFixture
) -> None:
    assert call(gateway, service, "/status/201").content_type == "text/plain; charset=utf-8; service-response=201"
    assert call(gateway, service, "/status/200").content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 409, 422, 426, 429, 451, 499, 500, 502, 503])
def test_the_services_own_errors_are_a_400_that_quotes_them(
    gateway: Gateway, service: HttpFixture, status: int
) -> None:
    refused = refusal(gateway, service, f"/status/{status}")
    assert (refused.status, refused.detail["status"]) == (400, status)
    if status != 304:
        assert (refused.detail["body"], refused.detail["content_type"]) == (
            f"this is {status}",
            "text/plain; charset=utf-8",
        )


def test_a_long_error_is_truncated_and_marked(gateway: Gateway, service: HttpFixture) -> None:
    refused = refusal(gateway, service, "/large-error")
    assert len(refused.detail["body"]) == MAX_QUOTED_BYTES
    assert refused.detail["truncated"]


def test_redirects_are_followed_on_the_service_only(gateway: Gateway, service: HttpFixture) -> None:
    assert echoed(call(gateway, service, "/redirect"))["target"] == "/echo?redirected=yes"
    refused = refusal(gateway, service, "/elsewhere")
    assert (refused.status, refused.detail["status"]) == (400, 302)
    assert refused.detail["location"] == "http://example.invalid/secret"


def test_a_redirect_that_never_ends_is_a_400(gateway: Gateway, service: HttpFixture) -> None:
    assert refusal(gateway, service, "/round").detail["status"] == 302


def test_a_truncated_response_is_a_400_while_the_service_is_ready(gateway: Gateway, service: HttpFixture) -> None:
    refused = refusal(gateway, service, "/broken")
    assert refused.status == 400
    assert "aborted the call" in refused.detail["error"]


def test_the_fifth_failure_in_a_row_is_the_instances(gateway: Gateway, service: HttpFixture) -> None:
    statuses = [refusal(gateway, service, "/status/500").status for _ in range(5)]
    assert statuses == [400, 400, 400, 400, 503]
    refusal(gateway, service, "/status/404")
    assert refusal(gateway, service, "/status/500").status == 400


def test_a_501_is_not_a_failure_of_the_service(gateway: Gateway, service: HttpFixture) -> None:
    assert [refusal(gateway, service, "/status/501").status for _ in range(10)] == [400] * 10


def test_a_5xx_is_the_instances_failure_when_the_readiness_probe_fails_too(
    gateway: Gateway, service: HttpFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "find_readiness_paths", lambda spec: {service.port: "/health"})
    monkeypatch.setattr(startup, "load_launch_spec", lambda: object())
    assert refusal(gateway, service, "/status/500").status == 400
    service.healthy = False
    try:
        assert refusal(gateway, service, "/status/500").status == 503
    finally:
        service.healthy = True


def test_a_refused_connection_is_a_429_until_the_service_has_answered_once() -> None:
    gateway = Gateway()
    with serve_http_fixture() as service:
        port = service.port
        nothing = HttpFixture()
        nothing.port = find_free_port()
        assert refusal(gateway, nothing, "/echo").status == 429
        call(gateway, service, "/echo")
    nothing.port = port
    assert refusal(gateway, nothing, "/echo").status == 503
    asyncio.run(BACKGROUND.run(gateway.close()))


def test_a_busy_service_is_a_429_however_often(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "CONNECT_TIMEOUT_S", 0.02)
    busy = HttpFixture()
    with serve_full_backlog() as busy.port:
        monkeypatch.setattr(startup, "_ready", {busy.port})
        for _ in range(failure_attribution.FAILURES_UNTIL_503 + 1):
            refused = refusal(gateway, busy, "/echo")
            assert (refused.status, "the service is busy" in refused.detail["error"]) == (429, True)


def test_a_call_timeout_names_the_limit(service: HttpFixture) -> None:
    gateway = Gateway(timeout_s=0.2)
    service.release.clear()
    refused = refusal(gateway, service, "/slow")
    assert (refused.status, "within 0.2 s" in refused.detail["error"]) == (400, True)
    asyncio.run(BACKGROUND.run(gateway.close()))


def test_the_limit_is_for_all_redirects_together(service: HttpFixture) -> None:
    gateway = Gateway(timeout_s=0.3)
    refused = refusal(gateway, service, "/round", params={"pause_s": "0.1"})
    assert (refused.status, "within 0.3 s" in refused.detail["error"]) == (400, True)
    asyncio.run(BACKGROUND.run(gateway.close()))


def test_a_disconnect_aborts_the_call(gateway: Gateway, service: HttpFixture) -> None:
    for event in (service.entered, service.aborted, service.release):
        event.clear()
    running = RunningCall()
    call = {"json": {}, "params": {}, "running": running}
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(gateway.handle_call, Route(path="/slow", method="GET"), service.port, call)
        assert service.entered.wait(60)
        running.abandon()
        with pytest.raises(CancelledError):
            response.result(60)
    assert service.aborted.wait(60)


def test_a_call_of_a_disconnected_caller_is_cancelled(gateway: Gateway, service: HttpFixture) -> None:
    service.release.clear()
    running = RunningCall()
    running.abandon()
    with pytest.raises(CancelledError):
        gateway.handle_call(
            Route(path="/slow", method="GET"), service.port, {"json": {}, "params": {}, "running": running}
        )


def test_connections_are_reused_across_calls(gateway: Gateway, service: HttpFixture) -> None:
    service.connections.clear()
    for method in ("GET", "POST", "POST", "PUT", "GET"):
        call(gateway, service, "/echo", method)
    assert len(service.connections) == 1


def test_a_response_over_the_limit_is_rejected(
    gateway: Gateway, service: HttpFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_RESPONSE_BYTES", 3 * 1024**2)
    assert len(call(gateway, service, "/large", params={"megabytes": "3"}).body) == 3 * 1024**2
    assert "larger than 3 MiB" in refusal(gateway, service, "/large", params={"megabytes": "4"}).detail["error"]


@pytest.mark.parametrize("where", [{"json": {"stream": True}}, {"params": {"stream": "false"}}])
def test_stream_in_a_call_to_a_plain_route_is_named(
    gateway: Gateway, service: HttpFixture, where: dict[str, Any]
) -> None:
    refused = refusal(gateway, service, "/echo", "POST", **where)
    assert (refused.status, refused.detail["parameter"]) == (400, "stream")


def test_stream_false_in_a_body_is_a_field_like_any_other(gateway: Gateway, service: HttpFixture) -> None:
    assert json.loads(echoed(call(gateway, service, "/echo", "POST", json={"stream": False}))["body"]) == {
        "stream": False
    }


# Of every character there is: also unpaired surrogates, which only JSON can contain.
TEXT = st.text(st.characters(), max_size=8)
KEYS = st.sampled_from(["text", "data", "filename", "content_type", "f_base64"]) | TEXT
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
FORMATS_OF_OBJECTS = ["json", "multipart", "form"]
FORMATS = st.sampled_from(["json", "multipart", "form", "binary", "text", "none"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, query=st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=3), encoding=FORMATS)
def test_any_call_gets_a_response_or_a_400(
    gateway: Gateway, service: HttpFixture, body: Any, query: dict[str, str], encoding: str
) -> None:
    route = Route.model_validate(
        {
            "path": "/x",
            "target_path": "/Echo/{id}",
            "request": {"encoding": encoding},
            "parameters": [{"name": "X-Key", "in": "header"}, {"name": "t", "in": "query", "style": "deepObject"}],
        }
    )
    given = {"id": "1", **body} if isinstance(body, dict) else body
    refused = None
    try:
        response = gateway.handle_call(route, service.port, {"json": given, "params": query})
    except CallFailed as caught:
        refused = caught
    else:
        assert json.loads(response.body)["method"] == "POST"
    if refused is not None:
        json.dumps(refused.detail, ensure_ascii=False).encode()
        assert (refused.status, "broke" in refused.detail["error"]) == (400, False)


def test_an_unsendable_request_is_never_the_services_failure(
    gateway: Gateway, service: HttpFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_request, "encode_body", lambda *_, **__: Body(content_type="a/b\r\nc"))
    for _ in range(failure_attribution.FAILURES_UNTIL_503 + 1):
        refused = refusal(gateway, service, "/echo", "POST")
        assert (refused.status, "cannot be sent" in refused.detail["error"]) == (400, True)


HALF = "\ud800"


@pytest.mark.parametrize(
    ("encoding", "body", "named"),
    [
        ("json", {"ok": 1, "a": {"b": [HALF]}}, "`a` contains an unpaired surrogate"),
        ("json", [HALF], "`body` contains an unpaired surrogate"),
        ("form", {"a": HALF}, "`a` contains an unpaired surrogate"),
        ("text", {"text": HALF}, "`text` contains an unpaired surrogate"),
        ("text", {HALF: 1}, "not ?"),
        ("multipart", {"a": HALF}, "`a` contains an unpaired surrogate"),
        ("multipart", {HALF: "a"}, "is not a valid field name"),
        ("multipart", {"a": {"filename": "\x01", "data": ""}}, "`a`: filename cannot contain"),
        ("multipart", {"a": {"content_type": HALF, "data": ""}}, "`a`: content_type cannot contain"),
    ],
)
def test_text_that_cannot_be_sent_is_named_and_never_the_services_failure(
    gateway: Gateway, service: HttpFixture, encoding: str, body: Any, named: str
) -> None:
    for _ in range(failure_attribution.FAILURES_UNTIL_503 + 1):
        refused = refusal(gateway, service, "/echo", "POST", json=body, request={"encoding": encoding})
        json.dumps(refused.detail, ensure_ascii=False).encode()
        assert refused.status == 400
        assert named in refused.detail["error"]
    assert refusal(gateway, service, "/status/500").status == 400


@pytest.mark.parametrize("encoding", FORMATS_OF_OBJECTS)
def test_a_body_that_is_nested_too_deeply_is_named(gateway: Gateway, service: HttpFixture, encoding: str) -> None:
    deep: Any = "a"
    for _ in range(100_000):
        deep = [deep]
    refused = refusal(gateway, service, "/echo", "POST", json={"a": {"b": deep}}, request={"encoding": encoding})
    assert (refused.status, refused.detail["error"]) == (400, "the call is nested too deeply")


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
)
async def test_an_unreadable_response_is_never_the_instances_failure(gateway: Gateway, reply: bytes) -> None:
    async with serve_reply(reply) as port:
        for _ in range(failure_attribution.FAILURES_UNTIL_503 + 1):
            with pytest.raises(CallFailed, match="the service's response cannot be read") as refused:
                await asyncio.to_thread(gateway.handle_call, Route(path="/x"), port, {"json": {}, "params": {}})
            assert refused.value.status == 400


def test_a_response_may_be_as_large_as_the_limit(
    gateway: Gateway, service: HttpFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_RESPONSE_BYTES", len(EVERY_BYTE))
    assert call(gateway, service, "/bytes").body == EVERY_BYTE
    monkeypatch.setattr(gateway_module, "MAX_RESPONSE_BYTES", len(EVERY_BYTE) - 1)
    assert "only the tunnel supports" in str(refusal(gateway, service, "/bytes"))
