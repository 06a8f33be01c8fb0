"""PLATFORM.md, section 3, sentences 1 to 6 and 8, one by one: a client, the platform's path, a real instance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from chutes_wrappers.emulator.chute_call import Limits
from chutes_wrappers.emulator.transport import InstanceClient
from tests.emulator.platforms import HEAD, Platform, is_active, make_chute, run_invocation_platform
from tests.upstreams.http_fixture import HttpFixture, serve_http_fixture

MODULE = """
import threading
from fastapi.responses import StreamingResponse


@chute.cord(public_api_path="/args")
async def args(self, *args):
    return list(args)


@chute.cord(public_api_path="/args", public_api_method="GET", path="/args_get", method="GET")
async def args_get(self, *args):
    return ["get", *args]


@chute.cord(public_api_path="/args", path="/second")
async def second(self, *args):
    return "never called"


@chute.cord(public_api_path="/both", path="/both_plain")
async def both_plain(self, *args):
    return "plain"


@chute.cord(public_api_path="/both", path="/both_stream", stream=True)
async def both_stream(self, *args):
    yield "data: streamed\\n\\n"


@chute.cord(public_api_path="/declared", passthrough=True, passthrough_port={port}, passthrough_path="/echo")
async def declared(self, *args):
    ...


@chute.cord(public_api_path="/text")
def text(self):
    return 'a "quoted" é'


@chute.cord(public_api_path="/wav")
def wav(self):
    return Response(bytes(range(256)), status_code=201, media_type="audio/wav", headers={{"X-Rate": "8000"}})


@chute.cord(public_api_path="/typeless")
def typeless(self):
    return Response(b"raw")


@chute.cord(public_api_path="/unjsonable")
def unjsonable(self):
    return {{1, 2}}


@chute.cord(public_api_path="/streaming_response")
def streaming_response(self):
    return StreamingResponse(iter([b"a"]))


@chute.cord(public_api_path="/stream", stream=True, output_content_type="text/plain")
def stream(self, *args):
    yield "data: é\\n\\n"
    yield b"data: bytes\\n\\n"


@chute.cord(public_api_path="/raw", stream=True)
def raw(self):
    yield "fine"
    yield b"\\xff\\xfe"
    yield "never seen"


@chute.cord(public_api_path="/raw_at_once", stream=True)
def raw_at_once(self):
    yield b"\\xff\\xfe"


@chute.cord(public_api_path="/objects", stream=True)
def objects(self):
    yield {{"not": "text"}}


@chute.cord(
    public_api_path="/hold", passthrough=True, passthrough_port={port}, passthrough_path="/slow", method="GET"
)
async def hold(self, *args):
    ...


@chute.cord(public_api_path="/sleep")
def sleep(self):
    threading.Event().wait(5)
"""


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    with serve_http_fixture() as running:
        yield running


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    code = HEAD.format(concurrency=8) + MODULE.format(port=service.port)
    with run_invocation_platform() as running:
        record = running.deploy(make_chute(tmp_path_factory.mktemp("module"), code))
        assert is_active(record), record
        yield running


@pytest.fixture(autouse=True)
def _reset_failures(chute: Platform) -> Iterator[None]:
    yield
    assert chute.post("/args").status_code == 200
    assert chute.get_newest().failures == 0


def assert_failed(chute: Platform, response: requests.Response, failures: int = 1) -> None:
    """Assert that the client does not get the reason, and that the instance has failed."""
    assert (response.status_code, response.json()) == (500, {"detail": "No infrastructure available to serve request"})
    assert chute.get_newest().failures == failures


def test_a_call_is_matched_by_exact_public_path_and_public_method(chute: Platform) -> None:
    assert chute.post("/args", {"a": 1}).json() == [{"a": 1}]
    assert chute.get("/args").json() == ["get"]


def test_of_two_cords_on_one_path_the_first_is_called(chute: Platform) -> None:
    assert chute.post("/args").json() == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/args/"), ("POST", "/arg"), ("PUT", "/args"), ("POST", "/"), ("POST", "/second"), ("GET", "/text")])  # fmt: skip
def test_without_a_match_the_response_is_404(chute: Platform, method: str, path: str) -> None:
    assert chute.call(method, path, json={}).status_code == 404
    assert chute.wait_for_record().instance_status is None


def test_an_unknown_chute_is_404(chute: Platform) -> None:
    assert chute.post("/args", slug="nobody-nothing").status_code == 404


def test_any_other_host_header_is_the_platform_itself(chute: Platform) -> None:
    assert requests.get(f"{chute.url}/args", timeout=60).text == "the platform itself"


def test_the_host_header_may_be_the_one_of_production(chute: Platform) -> None:
    assert chute.post("/args", headers={"Host": "tester-case.chutes.ai"}).json() == []


def test_without_a_valid_api_key_the_response_is_401(chute: Platform) -> None:
    assert chute.post("/args", headers={"Authorization": "Bearer cpk_wrong"}).status_code == 401


@pytest.mark.parametrize("body", [b"", b"not json", b'{"a": 1', b"\xff"])
def test_a_post_without_a_json_body_is_400(chute: Platform, body: bytes) -> None:
    assert chute.call("POST", "/args", data=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_multipart_post_is_400(chute: Platform) -> None:
    assert chute.call("POST", "/args", files={"file": b"RIFF"}).status_code == 400


@pytest.mark.parametrize("body", [[1], "text"])
def test_a_list_or_a_string_as_the_body_is_500_and_no_failure_of_the_instance(chute: Platform, body: object) -> None:
    assert chute.call("POST", "/args", json=body).status_code == 500
    assert chute.get_newest().failures == 0
    assert chute.wait_for_record().instance_status is None


def test_a_get_has_the_body_of_two_braces(chute: Platform) -> None:
    # A cord that is not passthrough gets no argument, as with any empty body.
    assert chute.call("GET", "/args", data=b'{"ignored": 1}').json() == ["get"]


def test_client_headers_and_cookies_are_not_forwarded(chute: Platform) -> None:
    echo = chute.post("/declared", headers={"X-Mine": "1", "Cookie": "a=b", "User-Agent": "me"}).json()
    assert not {"X-Mine", "Cookie", "Authorization"} & echo["headers"].keys()
    assert echo["headers"]["User-Agent"] != "me"


def test_of_repeated_query_keys_the_last_wins(chute: Platform) -> None:
    echo = chute.call("POST", "/declared?a=1&b=&a=2", json={}).json()
    assert echo["target"] == "/echo?a=2&b="


def test_a_declared_passthrough_receives_json_and_params(chute: Platform) -> None:
    echo = chute.post("/declared", {"x": [1, None]}, params={"q": "1"}).json()
    assert (echo["body"], echo["target"]) == ('{"x": [1, null]}', "/echo?q=1")


def test_any_other_cord_receives_the_body_alone_query_parameters_are_lost(chute: Platform) -> None:
    assert chute.post("/args", {"a": 1}, params={"q": "1"}).json() == [{"a": 1}]


def test_an_empty_body_calls_the_handler_with_no_argument_at_all(chute: Platform) -> None:
    assert chute.post("/args", {}).json() == []


def test_requests_and_responses_are_encrypted(chute: Platform) -> None:
    client = chute.instances._instances[chute.get_newest().instance_id].client

    async def text() -> str:
        async with client.post("/args", {"secret": "word"}) as response:
            return await response.read_text()

    travelled = chute.run(text())
    assert travelled.startswith('{"json":"')
    assert "word" not in travelled


def test_a_str_comes_back_as_a_quoted_json_string(chute: Platform) -> None:
    response = chute.post("/text")
    assert response.text == '"a \\"quoted\\" é"'
    assert response.headers["content-type"] == "application/json"


def test_a_response_object_keeps_its_bytes_and_media_type_and_loses_status_and_headers(chute: Platform) -> None:
    response = chute.post("/wav")
    assert (response.status_code, response.content) == (200, bytes(range(256)))
    assert response.headers["content-type"] == "audio/wav"
    assert "x-rate" not in response.headers


def test_a_response_object_without_a_media_type_has_none(chute: Platform) -> None:
    response = chute.post("/typeless")
    assert response.content == b"raw"
    assert "content-type" not in response.headers


@pytest.mark.parametrize("path", ["/unjsonable", "/streaming_response"])
def test_a_value_that_is_not_jsonable_fails(chute: Platform, path: str) -> None:
    assert_failed(chute, chute.post(path))


def test_a_stream_cord_returns_an_event_stream(chute: Platform) -> None:
    response = chute.post("/stream")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
    assert response.content == "data: é\n\ndata: bytes\n\n".encode()


def test_raw_bytes_break_a_stream(chute: Platform) -> None:
    with chute.post("/raw", stream=True) as response:
        assert response.status_code == 200
        pieces = response.iter_content(None)
        assert next(pieces) == b"fine"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(pieces)
    assert "not UTF-8" in chute.get_newest().last_failure


def test_a_stream_whose_first_chunk_is_raw_breaks_too(chute: Platform) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        chute.post("/raw_at_once")


def test_a_stream_of_objects_fails_at_its_first_chunk(chute: Platform) -> None:
    assert_failed(chute, chute.post("/objects"))


def test_stream_true_in_the_body_for_a_cord_that_does_not_stream_is_500_and_a_failure(chute: Platform) -> None:
    assert_failed(chute, chute.post("/args", {"stream": True}))
    assert chute.wait_for_record().instance_status == 200


@pytest.mark.parametrize("query", ["stream=true", "stream=false", "stream="])
def test_any_stream_in_the_query_for_a_cord_that_does_not_stream_is_500_and_a_failure(
    chute: Platform, query: str
) -> None:
    assert_failed(chute, chute.call("POST", f"/args?{query}", json={}))


def test_stream_false_in_the_body_is_ignored(chute: Platform) -> None:
    assert chute.post("/args", {"stream": False}).json() == [{"stream": False}]


def test_a_stream_cord_streams_whatever_the_switch_says(chute: Platform) -> None:
    assert chute.post("/stream", {"stream": False}).headers["content-type"] == "text/event-stream"


def test_of_a_plain_and_a_stream_cord_on_one_path_the_first_is_called(chute: Platform) -> None:
    assert chute.post("/both").json() == "plain"
    assert_failed(chute, chute.post("/both", {"stream": True}))


def test_standard_templates_choose_by_the_switch(chute: Platform) -> None:
    own = chute.chutes["tester-case"]
    chute.chutes["tester-vllm"] = replace(own, standard_template="vllm")
    assert chute.post("/both", slug="tester-vllm").json() == "plain"
    assert chute.post("/both", {"stream": True}, slug="tester-vllm").text == "data: streamed\n\n"


def test_calls_run_at_the_same_time_up_to_the_concurrency_and_one_more_is_429(
    chute: Platform, service: HttpFixture
) -> None:
    service.release.clear()
    with ThreadPoolExecutor(8) as pool:
        held = [pool.submit(chute.post, "/hold") for _ in range(8)]
        wait_until(lambda: chute.get_newest().running_calls == 8)
        assert chute.post("/args").status_code == 429
        assert chute.get_newest().failures == 0
        client = chute.instances._instances[chute.get_newest().instance_id].client
        assert chute.run(send_status(client)) == 429  # the instance itself rejects it as well
        service.release.set()
        assert [call.result(60).json() for call in held] == [{"slow": True}] * 8


def test_a_client_can_call_again_immediately_after_a_response(tmp_path: Path) -> None:
    code = HEAD.format(concurrency=1) + MODULE.format(port=1)
    with run_invocation_platform() as running:
        running.deploy(make_chute(tmp_path, code, concurrency=1))
        with requests.Session() as session:
            session.headers.update({"Host": "tester-case.localhost", "Authorization": "Bearer cpk_test"})
            paths = ["/args", "/stream", "/wav", "/both"] * 40
            assert {session.post(running.url + path, json={}, timeout=60).status_code for path in paths} == {200}


def test_a_call_ends_after_its_limit_as_a_failure(tmp_path: Path) -> None:
    code = HEAD.format(concurrency=8) + MODULE.format(port=1)
    with run_invocation_platform(limits=Limits(call_s=0.5)) as running:
        running.deploy(make_chute(tmp_path, code))
        assert_failed(running, running.post("/sleep"))
        assert Limits().call_s == 1800


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition is true."""
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never came true")


async def send_status(client: InstanceClient) -> int:
    async with client.post("/args", {}) as response:
        return response.status
