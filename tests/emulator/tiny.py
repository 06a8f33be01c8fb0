"""A launcher whose instances are small real servers in this process: quick to start, and they do as they are told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator.launcher import new_key
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord
from chutes_wrappers.emulator.runner import Seal
from chutes_wrappers.emulator.transport import InstanceClient, opened

CORDS = tuple(
    CordRecord(
        method="POST",
        path=path,
        public_api_path=path,
        public_api_method="POST",
        stream=False,
        passthrough=False,
        function="f",
    )
    for path in ("/echo", "/status", "/hold")
)


class TinyInstance:
    """``/echo`` echoes, ``/status`` answers as its body says, ``/hold`` answers when ``release`` is set."""

    def __init__(self, chute: ChuteRecord) -> None:
        self.chute = chute
        self.seal = Seal(new_key())
        self.serves = threading.Event()
        self.serves.set()
        self.release = threading.Event()
        self.is_locked = False
        self.stopped = False
        self._code: int | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.client = InstanceClient(f"http://127.0.0.1:{self._server.server_port}", self.seal)
        self.say("started")

    def say(self, line: str) -> None:
        self._lines.put(line)

    def die(self, code: int, last_words: str) -> None:
        """End as a process does."""
        self.say(last_words)
        self._code = code
        self._lines.put(None)

    def lines(self) -> Iterator[str]:
        while (line := self._lines.get()) is not None:
            yield line

    def exit_code(self) -> int | None:
        return self._code

    def listening(self) -> tuple[int, ...]:
        return ()

    def lock_network(self) -> None:
        self.is_locked = True

    def close(self) -> None:
        self.release.set()
        self._lines.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.stopped = True


class TinyLauncher:
    """Launches TinyInstances; ``prepare`` may change one before it serves, ``refusal`` is raised instead."""

    def __init__(self, most_at_once: int | None = None) -> None:
        self.most_at_once = most_at_once
        self.launched: list[TinyInstance] = []
        self.prepare: Callable[[TinyInstance], object] = lambda instance: None
        self.refusal: WrapperError | None = None
        self.at_once = 0
        self.most_seen = 0

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[TinyInstance]:
        if self.refusal is not None:
            raise self.refusal
        instance = TinyInstance(chute)
        self.prepare(instance)
        self.launched.append(instance)
        self.at_once += 1
        self.most_seen = max(self.most_seen, self.at_once)
        try:
            yield instance
        finally:
            instance.close()
            self.at_once -= 1


class ManualClock:
    """Time that passes when the test says so. On one event loop."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._sleepers.append((self._now + seconds, over))
        await over.wait()

    async def pass_time(self, seconds: float) -> None:
        self._now += seconds
        for until, over in self._sleepers:
            if until <= self._now:
                over.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].is_set()]
        await asyncio.sleep(0)


def _handler(instance: TinyInstance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seal = instance.seal
            path = seal.decrypt(bytes.fromhex(self.path[1:]))
            value = json.loads(opened(seal, self.rfile.read(int(self.headers["Content-Length"]))))
            if path == b"/_ping" and not instance.serves.is_set():
                self._answer(503, b"")
                return
            if path == b"/hold":
                instance.release.wait(60)
            if path == b"/status":
                self._answer(value["code"], b'{"detail":"ordered"}')
                return
            sealed = base64.b64encode(seal.encrypt(gzip.compress(json.dumps(value).encode()))).decode()
            self._answer(200, json.dumps({"json": sealed}).encode())

        def _answer(self, status: int, body: bytes) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            instance.say(format % arguments)

    return Handler
