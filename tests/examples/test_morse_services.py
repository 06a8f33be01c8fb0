"""The sample over HTTP: responses, errors, and a correct OpenAPI document."""

import http.client
import io
import json
import socket
import wave
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.morse.morse import codec, server, speaker
from examples.morse.morse.multipart import parse_form
from examples.morse.morse.settings import Settings
from examples.morse.morse.web import HTTPError, Request, Route, Service

FORM = "multipart/form-data; boundary=cut"


class CallResult(NamedTuple):
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def value(self) -> Any:
        return json.loads(self.body)


def call(
    port: int,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> CallResult:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            method, path, body, headers or {}, encode_chunked=body is not None and not isinstance(body, bytes)
        )
        response = connection.getresponse()
        return CallResult(response.status, response.headers["Content-Type"], response.read(), dict(response.headers))
    finally:
        connection.close()


def post(port: int, path: str, value: Any) -> CallResult:
    return call(port, "POST", path, json.dumps(value).encode())


def build_form(**fields: bytes) -> bytes:
    parts = [
        f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in fields.items()
    ]
    return b"".join(parts) + b"--cut--\r\n"


def infer(port: int, **fields: bytes) -> CallResult:
    return call(port, "POST", "/inference", build_form(**fields), {"Content-Type": FORM})


def send_raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# --- valid requests


def test_a_message_survives_the_round_trip(speaker_port: int, listener_port: int) -> None:
    spoken = post(speaker_port, "/speak", {"text": "Hello, world!", "wpm": 30, "frequency": 440})
    assert (spoken.status, spoken.content_type) == (200, "audio/wav")
    assert infer(listener_port, file=spoken.body).value == {"text": "HELLO, WORLD!"}


def test_the_response_format_can_be_chosen(speaker_port: int, listener_port: int) -> None:
    spoken = post(speaker_port, "/speak", {"text": "73"}).body
    assert infer(listener_port, file=spoken, response_format=b"text").body == b"73\n"
    verbose = infer(listener_port, file=spoken, response_format=b"verbose_json").value
    # 25 words per minute is the speed in the settings of this server.
    assert verbose == {"text": "73", "morse": "--... ...--", "wpm": pytest.approx(25, rel=0.03), "frequency": 600}


def test_text_is_encoded(speaker_port: int) -> None:
    assert post(speaker_port, "/encode", {"text": "sos"}).value == {"morse": "... --- ..."}


def test_the_alphabet_can_be_filtered(speaker_port: int) -> None:
    assert call(speaker_port, "GET", "/alphabet").value == codec.ALPHABET
    assert call(speaker_port, "GET", "/alphabet?letters=s%20o%40").value == {"S": "...", "O": "---", "@": ".--.-."}
    assert call(speaker_port, "GET", "/alphabet?letters=A&letters=E").value == {"E": "."}


def test_both_are_healthy_and_the_listener_returns_its_limits(speaker_port: int, listener_port: int) -> None:
    assert [call(port, "GET", "/health").value for port in (speaker_port, listener_port)] == [{"status": "ok"}] * 2
    assert call(listener_port, "GET", "/load").value["wpm"] == [5, 40]
    assert call(listener_port, "GET", "/openapi.json").status == 404


# --- invalid requests


@pytest.mark.parametrize("path", ["/speak", "/encode"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"text": NaN}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'["SOS"]', "must be an object"),
        (b"{}", "lacks text"),
        (b'{"text": 5}', "text must be a string"),
        (b'{"text": ""}', "at least 1"),
        (b'{"text": "  "}', "nothing but spaces"),
        (b'{"text": "\\u2603\\ud800"}', "no Morse code for"),
        (b'{"text": "S", "speed": 1}', "unknown fields: speed"),
        (json.dumps({"text": "E" * 501}).encode(), "at most 500"),
    ],
)
def test_an_invalid_request_is_rejected_with_the_reason(speaker_port: int, path: str, body: bytes, reason: str) -> None:
    response = call(speaker_port, "POST", path, body)
    assert (response.status, response.content_type) == (400, "application/json")
    assert reason in response.value["error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("wpm", 4), ("wpm", 41), ("wpm", True), ("wpm", "20"), ("frequency", 299), ("frequency", 1e400)],
)
def test_speeds_and_tones_have_limits(speaker_port: int, field: str, value: Any) -> None:
    body = json.dumps({"text": "SOS", field: value}).replace("Infinity", "1e400").encode()
    response = call(speaker_port, "POST", "/speak", body)
    assert response.status == 400
    assert field in response.value["error"]


def test_a_sound_of_an_hour_is_rejected(speaker_port: int) -> None:
    assert "longer than 600 s" in post(speaker_port, "/speak", {"text": "0" * 500, "wpm": 5}).value["error"]


def test_unknown_letters_are_rejected(speaker_port: int) -> None:
    assert call(speaker_port, "GET", "/alphabet?letters=A%23").value == {"error": "no Morse code for '#'"}


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/json", b"{}", "multipart/form-data"),
        ("multipart/form-data", build_form(file=b""), "boundary"),
        ("multipart/form-data; boundary=other", build_form(file=b""), "boundary"),
        (FORM, b"", "no fields"),
        (FORM, build_form(sound=b""), "named file"),
        (FORM, build_form(file=b"MP3"), "not a WAV file"),
        (FORM, build_form(file=b"", response_format=b"srt"), "response_format"),
    ],
)
def test_an_invalid_recording_is_rejected_with_the_reason(
    listener_port: int, content_type: str, body: bytes, reason: str
) -> None:
    response = call(listener_port, "POST", "/inference", body, {"Content-Type": content_type})
    assert response.status == 400
    assert reason in response.value["error"]


@given(st.binary(max_size=300).filter(lambda content: b"--cut" not in content))
def test_a_files_bytes_arrive_unchanged(content: bytes) -> None:
    request = Request("POST", "/inference", body=build_form(first=b"1", file=content, last=b"2"))
    request.headers["Content-Type"] = FORM
    assert parse_form(request) == {"first": b"1", "file": content, "last": b"2"}


def test_unknown_paths_and_methods_get_json_errors(speaker_port: int) -> None:
    assert call(speaker_port, "GET", "/nowhere").value == {"error": "not found: /nowhere"}
    wrong = call(speaker_port, "DELETE", "/speak")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


def test_a_bug_in_a_handler_is_a_500_and_no_details() -> None:
    def fail(request: Request) -> Any:
        raise KeyError("secret")

    response = Service("broken", [Route("GET", "/x", fail)]).respond(Request("GET", "/x"))
    assert (response.status, response.body) == (500, b'{"error": "internal error"}')


# --- HTTP itself


def test_a_body_may_come_in_chunks(speaker_port: int) -> None:
    chunks = iter([b'{"text"', b': "S', b'OS"}'])
    response = call(speaker_port, "POST", "/encode", chunks, {"Transfer-Encoding": "chunked"})
    assert response.value == {"morse": "... --- ..."}


def test_a_connection_serves_several_requests_also_after_an_error(speaker_port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", speaker_port, timeout=60)
    statuses = []
    for body in (b'{"text": "A"}', b"no", b'{"text": "B"}'):
        connection.request("POST", "/encode", body)
        response = connection.getresponse()
        response.read()
        statuses.append((response.status, connection.sock is not None))
    connection.close()
    assert statuses == [(200, True), (400, True), (200, True)]


def test_a_head_has_the_headers_of_a_get_and_no_body(speaker_port: int) -> None:
    response = send_raw(speaker_port, b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200")
    assert b"Content-Length: 16" in response
    assert response.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"POST /encode HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /encode HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}", 400),
        (b"POST /encode HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /encode HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /encode HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /encode HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST /encode HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}}}\r\n0\r\n\r\n", 400),
        (b"POST /encode HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
    ],
)
def test_invalid_http_gets_a_json_error_and_closes_the_connection(
    speaker_port: int, request_bytes: bytes, status: int
) -> None:
    head, _, body = send_raw(speaker_port, request_bytes).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert isinstance(json.loads(body)["error"], str)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.binary(max_size=20))
def test_chunks_are_put_together(chunks: list[bytes], rest: bytes) -> None:
    stream = io.BytesIO(
        b"".join(b"%x;ext\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nT: 1\r\n\r\n" + rest
    )
    headers = Request("POST", "/").headers
    headers["Transfer-Encoding"] = "chunked"
    assert server.read_body(stream, headers) == b"".join(chunks)
    assert stream.read() == rest


def test_chunks_count_together_towards_the_limit() -> None:
    headers = Request("POST", "/").headers
    headers["Transfer-Encoding"] = "chunked"
    with pytest.raises(HTTPError) as refused:
        server.read_body(io.BytesIO(b"3\r\nabc\r\n" * 4), headers, limit=10)
    assert refused.value.status == 413


# --- the document


def test_the_document_names_every_route_and_no_other(speaker_port: int) -> None:
    document = call(speaker_port, "GET", "/openapi.json").value
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routed = {(route.method, route.path) for route in speaker.build_service(Settings()).routes}
    assert described == routed - {("GET", "/openapi.json")}
    for path in document["paths"]:
        # For an unknown method, the Allow header lists all methods of the path.
        allowed = call(speaker_port, "OPTIONS", path).headers["Allow"].split(", ")
        assert {(method, path) for method in allowed} == {pair for pair in described if pair[1] == path}


def test_the_documents_examples_are_what_the_service_does(speaker_port: int) -> None:
    document = call(speaker_port, "GET", "/openapi.json").value
    for path, item in document["paths"].items():
        for method, operation in item.items():
            query = "&".join(f"{p['name']}={p['example']}" for p in operation.get("parameters", ()))
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            response = call(
                speaker_port, method.upper(), f"{path}?{query}", json.dumps(body).encode() if body is not None else None
            )
            assert response.status == 200, (method, path, response.body)
            content = operation["responses"]["200"]["content"][response.content_type]
            if "example" in content:
                assert response.value == content["example"]


def test_references_of_the_document_resolve_and_its_defaults_are_the_settings(speaker_port: int) -> None:
    document = call(speaker_port, "GET", "/openapi.json").value
    schemas = document["components"]["schemas"]
    for part in json.dumps(document).split('"$ref": "')[1:]:
        assert part.split('"')[0].removeprefix("#/components/schemas/") in schemas
    assert document["openapi"].startswith("3.1")
    assert schemas["SpeakRequest"]["properties"]["wpm"]["default"] == 25


def test_spoken_files_are_16_bit_mono(speaker_port: int) -> None:
    with wave.open(io.BytesIO(post(speaker_port, "/speak", {"text": "E"}).body)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
