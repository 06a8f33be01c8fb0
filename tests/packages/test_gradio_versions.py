"""Gradio 4, 5 and 6 as users install them: discovery, calls by name, errors and files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import struct
import subprocess
import time
import wave
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.host.discovery.probing import Bounds
from chutes_wrappers.host.discovery.remote import discover_service
from chutes_wrappers.runtime import gradio_call
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gradio_files import AppSession
from tests.packages.environments import create_environment
from tests.scenario import ROOT, find_free_port

pytestmark = pytest.mark.packages

# Later versions of these broke the last Gradio 4. The others need no pins.
GRADIO = {
    4: (
        "gradio>=4,<5", "huggingface_hub<1", "pydantic<2.11", "fastapi<0.116", "numpy",
        "audioop-lts; python_version >= '3.13'",
    ),
    5: ("gradio>=5,<6",),
    6: ("gradio>=6,<7",),
}  # fmt: skip
MAJORS = [pytest.param(major, id=f"gradio{major}") for major in GRADIO]
ENDPOINTS = {
    "/greet", "/greet_again/x", "/service/docs", "/invert", "/louder", "/measure", "/copy", "/copy_video", "/copies", "/words",
    "/frames", "/count", "/refuse", "/crash", "/stumble", "/remember", "/slow", "/update", "/nothing", "/service/ping", "/batch",
}  # fmt: skip
EVERY_BYTE = bytes(range(256))


class App:
    """A running app, its manifest from discovery, and calls to it."""

    def __init__(self, url: str, manifest: Manifest) -> None:
        self.url = url
        self.manifest = manifest
        self.routes = {route.path: route for route in manifest.routes if route.gradio}

    async def call(self, path: str, body: Any = None, **arguments: Any) -> tuple[str, bytes]:
        """Call with ``body``, or with ``arguments`` by name. Return media type and bytes of the response."""
        async with aiohttp.ClientSession() as session:
            return await gradio_call.call(
                AppSession(session), self.url, self._endpoint(path), arguments if body is None else body
            )

    async def data(self, path: str, body: Any = None, **arguments: Any) -> Any:
        """Return ``data`` of a JSON response."""
        kind, response = await self.call(path, body, **arguments)
        assert kind == "application/json"
        return json.loads(response)["data"]

    async def stream(self, path: str, **arguments: Any) -> AsyncIterator[Any]:
        """Yield the parsed events of a stream."""
        async with aiohttp.ClientSession() as session:
            events = gradio_call.stream(AppSession(session), self.url, self._endpoint(path), arguments)
            async with aclosing(events):
                async for event in events:
                    assert event.startswith(b"data: ")
                    assert event.endswith(b"\n\n")
                    yield json.loads(event[6:])

    def _endpoint(self, path: str) -> Any:
        return self.routes[path].gradio


@contextlib.contextmanager
def run_app(python: Path, script: Path, folder: Path, arguments: Callable[[int], dict[str, Any]]) -> Iterator[App]:
    """Run a Gradio app until the context ends, and discover it."""
    port = find_free_port()
    log = folder / "app.log"
    environment = {
        **os.environ,
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
    }
    with log.open("wb") as output:
        started = arguments(port)
        process = subprocess.Popen(
            [str(python), str(script), *started.get("argv", ())],
            env={**environment, **started.get("environment", {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield App(f"http://127.0.0.1:{port}", _discover(port, process, log))
    finally:
        process.terminate()
        process.wait(20)


def _discover(port: int, process: subprocess.Popen[bytes], log: Path) -> Manifest:
    deadline = time.monotonic() + 120
    while f"127.0.0.1:{port}" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    app = discover_service(f"http://127.0.0.1:{port}", 7860, bounds=Bounds(timeout_s=60), report=lambda _: None)
    return parse_manifest(app.to_json(), where="the manifest")  # as it is read on an instance


@pytest.fixture(scope="module", params=MAJORS)
def major(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def app(major: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    python = create_environment(*GRADIO[major])
    script = ROOT / "tests" / "packages" / "gradio_app.py"
    with run_app(python, script, tmp_path_factory.mktemp("app"), lambda port: {"argv": [str(port)]}) as app:
        yield app


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([10, 20, 30]) * 4 for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<100h", *range(0, 10_000, 100)))
    return buffer.getvalue()


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def make_file(data: bytes, filename: str, content_type: str = "application/octet-stream") -> dict[str, str]:
    return {"filename": filename, "content_type": content_type, "data": encode(data)}


def test_every_named_endpoint_is_a_route_that_becomes_a_cord(app: App, major: int) -> None:
    assert app.routes.keys() == ENDPOINTS | {"/talk" if major == 6 else "/chat"}
    assert {path for path, route in app.routes.items() if route.stream} == {"/words", "/frames", "/count", "/stumble"}
    plan = plan_cords(app.manifest.routes, 7860)
    assert {cord.public_path for cord in plan.cords} >= app.routes.keys()
    assert all(skipped.reason for skipped in plan.skipped)


def test_routes_describe_requests_and_responses(app: App, major: int) -> None:
    schema = app.routes["/greet"].input_schema or {}
    assert schema["required"] == ["name"]
    assert schema["properties"]["punctuation"]["enum"] == ["!", "?"]
    assert schema["properties"]["times"]["default"] == 1
    hint = app.routes["/invert"].response
    assert hint is not None
    assert hint.content_type == "image/*"
    if major > 4:
        assert app.routes["/greet"].summary == "Say hello."


async def test_arguments_are_passed_by_name_or_position_with_defaults(app: App) -> None:
    assert await app.data("/greet", name="you") == ["hello you!"]
    assert await app.data("/greet", name="you", times=2, punctuation="?") == ["hello you?hello you?"]
    assert await app.data("/greet", {"data": ["you", "?"]}) == ["hello you?"]
    assert await app.data("/greet_again/x", name="ä") == ["hello ä!"]
    assert await app.data("/service/docs", name="direct") == ["hello direct!"]
    assert await app.data("/service/ping") == ["pong", 3.5]
    assert await app.data("/batch", {"data": ["one"]}) == ["one!"]
    assert await app.data("/update", {"data": ["new"]}) == ["new"]
    assert await app.data("/nothing", {"data": ["x"]}) == [None]
    assert await app.data("/slow", seconds=0.2) == ["done"]


async def test_wrong_arguments_are_rejected_with_the_expected_ones(app: App) -> None:
    with pytest.raises(CallFailed, match=r"`nam` is not a parameter.*name, punctuation \(optional\)") as unknown:
        await app.call("/greet", nam="you")
    assert unknown.value.status == 400
    with pytest.raises(CallFailed, match="`name` is missing"):
        await app.call("/greet")
    with pytest.raises(CallFailed, match="4 arguments"):
        await app.call("/greet", {"data": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    "picture",
    [
        {"image": make_file(png(), "x.png", "image/png")},
        {"image": {"data": encode(png())}},
        {"image": f"data:image/png;base64,{encode(png())}"},
        {"image_base64": encode(png())},
    ],
    ids=["object", "bare", "uri", "base64"],
)
async def test_an_image_is_sent_and_returned_as_bytes(app: App, picture: dict[str, Any]) -> None:
    kind, response = await app.call("/invert", picture)
    assert kind == "image/png"
    assert response.startswith(b"\x89PNG")


async def test_a_sound_is_sent_and_returned(app: App) -> None:
    kind, response = await app.call("/louder", audio_base64=encode(wav()), factor=2)
    assert kind == "audio/wav"
    with wave.open(io.BytesIO(response)) as sound:
        assert sound.readframes(100) == struct.pack("<100h", *range(0, 20_000, 200))


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (EVERY_BYTE, "every byte.bin", "application/octet-stream"),
        (b"<b>", "page.html", "text/html"),
        (b"\xff", "日本 ü.png", "image/png"),
        (b"x", '../../up "x".txt', "text/plain; charset=utf-8"),
    ],
)
async def test_files_are_returned_unchanged(app: App, content: bytes, filename: str, kind: str) -> None:
    assert await app.call("/copy", file=make_file(content, filename)) == (kind, content)


async def test_an_empty_file_is_json(app: App) -> None:
    [empty] = await app.data("/copy", file=make_file(b"", "empty.dat"))
    assert empty == {"filename": "empty.dat", "content_type": "application/octet-stream", "data": ""}


async def test_a_file_of_fifty_megabytes_is_supported(app: App) -> None:
    content = os.urandom(1024**2) * 50
    assert (await app.call("/copy", file=make_file(content, "large.bin")))[1] == content


async def test_a_file_beside_other_outputs_is_json(app: App) -> None:
    files_sent = [make_file(b"one", "b.txt", "text/plain"), make_file(b"two", "a.txt", "text/plain")]
    files, number = await app.data("/copies", files=files_sent)
    assert [base64.b64decode(item["data"]) for item in files] == [b"one", b"two"]
    assert [item["filename"] for item in files] == ["b.txt", "a.txt"]
    assert number == 2
    assert await app.data("/measure", file=files_sent[0]) == [3, {"label": "x", "name": "b.txt"}]


async def test_a_video_is_its_bytes_in_every_version(app: App) -> None:
    assert await app.call("/copy_video", {"data": [make_file(b"film", "v.mp4", "video/mp4")]}) == ("video/mp4", b"film")


async def test_generators_are_streams(app: App) -> None:
    begun = time.monotonic()
    arrivals = [(event["data"], time.monotonic() - begun) async for event in app.stream("/words", text="a b c d e")]
    assert [data for data, _ in arrivals][:2] == [["a ", 2], ["a b ", 4]]
    assert len(arrivals) == 5
    assert arrivals[-1][1] - arrivals[0][1] > 0.3
    assert await app.data("/words", text="a b") == ["a b ", 4]


async def test_streams_carry_files(app: App) -> None:
    images = [event["data"][0] async for event in app.stream("/frames", image_base64=encode(png()))]
    assert [base64.b64decode(image["data"])[:4] for image in images] == [b"\x89PNG"] * 2


async def test_the_apps_errors_reach_the_caller(app: App) -> None:
    with pytest.raises(CallFailed, match=r"^no entry$") as refused:
        await app.call("/refuse", text="entry")
    assert refused.value.status == 400
    with pytest.raises(CallFailed, match="the app failed without a reason"):
        await app.call("/crash", text="x")
    assert [event async for event in app.stream("/stumble", text="one")] == [{"data": ["one"]}, {"error": "it's over"}]


async def test_every_call_has_a_state_of_its_own(app: App, major: int) -> None:
    assert await app.data("/remember", text="a") == ["first,a"]
    assert await app.data("/remember", text="b") == ["first,b"]
    assert await app.data("/talk" if major == 6 else "/chat", message="hi") == ["you said hi"]


async def test_an_abandoned_stream_is_closed(app: App) -> None:
    # One call of a function runs at a time: the second can only start when the app has stopped the first.
    async with aclosing(app.stream("/count", limit=600)) as events:  # type: ignore[type-var]  # it is a generator
        assert await anext(events) == {"data": [0]}

    async def rest() -> list[Any]:
        return [event async for event in app.stream("/count", limit=2)]

    assert len(await asyncio.wait_for(rest(), 20)) == 2


def test_the_example_runs_under_every_version(major: int, tmp_path: Path) -> None:
    def started(port: int) -> dict[str, Any]:
        return {"environment": {"GRADIO_SERVER_PORT": str(port)}}

    script = ROOT / "examples" / "gradio" / "app.py"
    with run_app(create_environment(*GRADIO[major]), script, tmp_path, started) as app:
        assert app.routes.keys() == {"/shout", "/tone", "/reverse_sound", "/countdown"}
        assert asyncio.run(app.data("/shout", text="hello", times=2)) == ["HELLO! HELLO!"]
        kind, sound = asyncio.run(app.call("/tone", seconds=0.5))
        assert kind == "audio/wav"
        backwards, seconds = asyncio.run(app.data("/reverse_sound", sound_base64=encode(sound)))
        assert (backwards["content_type"], seconds) == ("audio/wav", 0.5)
        with pytest.raises(CallFailed, match="nothing to shout"):
            asyncio.run(app.call("/shout", text=" "))
