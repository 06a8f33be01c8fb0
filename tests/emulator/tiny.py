"""A launcher with small real servers in this process as instances: they start fast, and tests control them."""

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
from chutes_wrappers.emulator.launcher import generate_key
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord
from chutes_wrappers.emulator.runner import SessionCipher
from chutes_wrappers.emulator.transport import InstanceClient, decrypt_value

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
    """``/echo`` echoes, ``/status`` returns the status in its body, ``/hold`` responds when ``release`` is set.

    ``/stream`` sends the chunks of ``stream``; None in it breaks the stream. ``status`` is for every call, when it is set.
    """

    def __init__(self, chute: ChuteRecord) -> None:
        self.chute = chute
        self.cipher = SessionCipher(generate_key())
        self.serves = threading.Event()
        self.serves.set()
        self.release = threading.Event()
        self.status: int | None = None
        self.stream: list[bytes | None] = []
        self.calls: list[object] = []
        self.is_locked = False
        self.probe_problem = ""
        self.probe_count = 0
        self.written_bytes = 0
        self.stopped = False
        self._code: int | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _build_handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.client = InstanceClient(f"http://127.0.0.1:{self._server.server_port}", self.cipher)
        self.print_line("started")

    def print_line(self, line: str) -> None:
        self._lines.put(line)

    def exit(self, code: int, last_line: str) -> None:
        """End as a process does: with a last line and an exit code."""
        self.print_line(last_line)
        self._code = code
        self._lines.put(None)

    def read_lines(self) -> Iterator[str]:
        while (line := self._lines.get()) is not None:
            yield line

    def poll_exit_code(self) -> int | None:
        return self._code

    def list_listening_ports(self) -> tuple[int, ...]:
        return ()

    def find_probe_problem(self) -> str:
        self.probe_count += 1
        return self.probe_problem

    def measure_written_bytes(self) -> int:
        return self.written_bytes

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
    """Launches TinyInstances. ``prepare`` can change one before it serves; ``refusal`` is raised when it is set."""

    def __init__(self, max_running: int | None = None) -> None:
        self.max_running = max_running
        self.launched: list[TinyInstance] = []
        self.prepare: Callable[[TinyInstance], object] = lambda instance: None
        self.refusal: WrapperError | None = None
        self.running_count = 0
        self.max_running_count = 0
        self.removed_caches: list[str] = []
        self.is_closed = False

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[TinyInstance]:
        if self.refusal is not None:
            raise self.refusal
        instance = TinyInstance(chute)
        self.prepare(instance)
        self.launched.append(instance)
        self.running_count += 1
        self.max_running_count = max(self.max_running_count, self.running_count)
        try:
            yield instance
        finally:
            instance.close()
            self.running_count -= 1

    def describe_cache(self, chute_id: str) -> str:
        return chute_id

    def remove_cache(self, chute_id: str) -> None:
        self.removed_caches.append(chute_id)

    def close(self) -> None:
        self.is_closed = True


class ManualClock:
    """A clock that the test advances. Used on one event loop."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._sleepers.append((self._now + seconds, over))
        await over.wait()

    def is_awaited(self, seconds: float) -> bool:
        """Whether a sleep ends so many seconds from now."""
        return any(until == self._now + seconds for until, _ in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Advance the clock from any thread, and leave those who sleep asleep."""
        self._now += seconds

    async def pass_time(self, seconds: float) -> None:
        self._now += seconds
        for until, over in self._sleepers:
            if until <= self._now:
                over.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].is_set()]
        await asyncio.sleep(0)


def _build_handler(instance: TinyInstance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            cipher = instance.cipher
            path = cipher.decrypt(bytes.fromhex(self.path[1:]))
            value = json.loads(decrypt_value(cipher, self.rfile.read(int(self.headers["Content-Length"]))))
            if path == b"/_ping" and not instance.serves.is_set():
                self._respond(503, b"")
                return
            if path != b"/_ping":
                instance.calls.append(value)
                if instance.status is not None:
                    self._respond(instance.status, b'{"detail":"ordered"}')
                    return
            if path == b"/stream":
                self._respond(200, b"\n".join(map(self._encode_chunk, instance.stream)))
                return
            if path == b"/hold":
                instance.release.wait(60)
            if path == b"/status":
                self._respond(value["code"], b'{"detail":"ordered"}')
                return
            encrypted = base64.b64encode(cipher.encrypt(gzip.compress(json.dumps(value).encode()))).decode()
            self._respond(200, json.dumps({"json": encrypted}).encode())

        def _encode_chunk(self, chunk: bytes | None) -> bytes:
            return b"broken" if chunk is None else base64.b64encode(instance.cipher.encrypt(gzip.compress(chunk)))

        def _respond(self, status: int, body: bytes) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            instance.print_line(format % arguments)

    return Handler
