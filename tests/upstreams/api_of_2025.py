"""The platform's own API in front of the emulator: only its fields, and its ways, as its server of October 2025 has them.

Source: api-observed, 151 requests that were sent to that server. ``STRICT_2026`` is August 2026: its ways are the emulator's,
but it has none of the emulator's additions, so that a client cannot rely on them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.tables.chute_table import Chute
from tests.upstreams.platform_faults import FaultyPlatform, Handler, serve_faulty_platform

# Only the emulator has these.
_ADDITIONS = frozenset(
    {"ended_instances", "state", "running_calls", "failures", "disabled_until", "last_failure", "ended_because"}
)
# The emulator has these like August 2026; the server of 2025 had not (rows 71, 86 and 93).
_NEWER = frozenset(
    {
        *(
            "allow_external_egress",
            "encrypted_fs",
            "filename",
            "lock_modules",
            "ref_str",
            "revision",
            "tee",
            "immutable",
        ),
        *("disabled", "max_hourly_price_per_gpu", "action"),
    }
)
# They are the user's own, and no addition inside of them is the emulator's.
_OPAQUE = frozenset({"cords", "cord_refs"})
_NEWER_CHUTE = {"boost": None, "openrouter": False, "preemptible": False, "invocation_count": 0}
# Row 42: the response to an upload has the whole record of the user, with secrets.
WALLET_SECRET = "value-of-a-wallet-secret-4713"
_WHOLE_USER = {
    "wallet_secret": WALLET_SECRET,
    "developer_wallet_secret": WALLET_SECRET,
    "balance": 100.0,
    "squad_enabled": False,
}
_TEXTS = ("tagline", "readme", "tool_description", "logo_id")
_COLD = {"status": "cold", "log": "waiting for instances ..."}
_EVENTS = "text/event-stream"
_POLL_S = 0.1
_BUILD_LOG = re.compile(r"/images/[0-9a-f-]{36}/logs")
_FEE = re.compile(r"(configuration is: \$)([\d.]+)")


class _StrictHandler(Handler):
    """Hides what the platform's API does not have."""

    hidden = _ADDITIONS

    def forward(self, body: bytes = b"", *, at_most: int | None = None) -> None:
        """Forward a call of a chute, and a log, as they are."""
        if (
            at_most is not None
            or ".localhost" in self.headers.get("Host", "")
            or self.path.partition("?")[0].endswith("/logs")
        ):
            super().forward(body, at_most=at_most)
            return
        status, content_type, text = self.fetch(self.path, body)
        self.send_reply(status, content_type, self.change(status, text, body))

    def fetch(self, path: str, body: bytes = b"") -> tuple[int, str, str]:
        """Send this request to the platform, at ``path``. Return the status, the media type and the text of its response."""
        upstream = self.server.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            headers = {name: value for name, value in headers.items() if name.lower() != "transfer-encoding"}
            connection.request(self.command, path, body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type", ""), response.read().decode()

    def change(self, status: int, text: str, body: bytes) -> str:
        """Return the response's ``text`` as the API has it; ``body`` is the request's."""
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return json.dumps(_hide(value, self.hidden))


class _HandlerOf2025(_StrictHandler):
    hidden = _ADDITIONS | _NEWER

    def forward(self, body: bytes = b"", *, at_most: int | None = None) -> None:
        """Warm-ups and build logs are streams without an end."""
        path = self.path.partition("?")[0]
        if path.startswith("/encrypted_logs"):
            self.send_reply(404, "application/json", json.dumps({"detail": "Not Found"}))
        elif at_most is None and path.startswith("/chutes/warmup/"):
            self._stream_warm_up(path)
        elif at_most is None and _BUILD_LOG.fullmatch(path):
            self._stream_build_log()
        else:
            super().forward(body, at_most=at_most)

    def change(self, status: int, text: str, body: bytes) -> str:
        """Add what only that server had."""
        value = json.loads(super().change(status, text, body)) if text.startswith("{") else None
        if value is None:
            return text
        if self.path.startswith("/chutes/"):
            value = _add_to_chutes(value)
        if self.command == "POST" and self.path.startswith("/images/") and status == 202:
            value["user"] |= _WHOLE_USER
        if self.command == "POST" and self.path.startswith("/secrets/") and status == 200:
            value["value"] = json.loads(body)["value"]
        if self.command == "POST" and status == 402 and isinstance(value.get("detail"), str):
            count = json.loads(body).get("node_selector", {}).get("gpu_count", 1) if body.startswith(b"{") else 1
            value["detail"] = _FEE.sub(lambda fee: f"{fee[1]}{float(fee[2]) * count}", value["detail"])
        return json.dumps(value)

    def _stream_warm_up(self, path: str) -> None:
        """Ignore ``quick``: stream events until an instance is active (rows 107 and 108)."""
        status, content_type, text = self.fetch(f"{path}?quick=true")
        if status != 200:
            self.send_reply(status, content_type, text)
            return
        self._start_stream()
        if json.loads(text)["status"] != "hot":
            self._send_event(_COLD)
        while json.loads(text)["status"] != "hot" and not self.server.released.wait(_POLL_S):
            _, _, text = self.fetch(f"{path}?quick=true")
        self._send_event({"status": "hot", "log": "chute is hot, 1 instances available"})
        self._send_piece(b"")

    def _stream_build_log(self) -> None:
        """Send the log as events, "DONE", and then dots for ever (PLATFORM.md, section 5)."""
        status, content_type, text = self.fetch(self.path)
        if status != 200:
            self.send_reply(status, content_type, text)
            return
        self._start_stream()
        for number, line in enumerate(text.splitlines()):
            self._send_event({"log": line, "offset": str(number)})
        self._send_piece(b"DONE\n")
        while not self.server.released.wait(_POLL_S):
            self._send_piece(b".\n")

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _EVENTS)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_event(self, value: Mapping[str, Any]) -> None:
        self._send_piece(f"data: {json.dumps(value)}\n\n".encode())

    def _send_piece(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.flush()


def _hide(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_hide(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: item if name in _OPAQUE else _hide(item, names) for name, item in value.items() if name not in names}


def _add_to_chutes(value: dict[str, Any]) -> dict[str, Any]:
    if isinstance(value.get("items"), list):
        return {**value, "items": [_add_to_chutes(item) for item in value["items"]]}
    if "node_selector" not in value:
        return value
    selector = {"dynamic": None, "compute_multiplier": 1.0, **value["node_selector"]}
    return {**value, **_NEWER_CHUTE, "node_selector": {**selector, "exclude": ["b200", "mi300x"]}}


@contextlib.contextmanager
def serve_strict_api(upstream: str) -> Iterator[FaultyPlatform]:
    """The API of August 2026 in front of the emulator at ``upstream``."""
    with serve_faulty_platform(upstream, _StrictHandler) as server:
        yield server


@contextlib.contextmanager
def run_api_of_2025(
    settings: Settings, launcher: Launcher | None = None
) -> Iterator[tuple[RunningPlatform, FaultyPlatform]]:
    """Run an emulator, and the server of October 2025 in front of it."""
    with run_platform(settings, launcher) as emulator, serve_faulty_platform(emulator.url, _HandlerOf2025) as server:
        _change_texts_only(emulator)
        yield emulator, server


def _change_texts_only(emulator: RunningPlatform) -> None:
    """Let PUT /chutes change texts only. The request is signed, so that the proxy cannot remove a part of it."""
    chutes = emulator.state.chutes
    change = chutes.change

    def change_texts(chute: Chute, changes: Mapping[str, Any]) -> Chute:
        return change(chute, {name: value for name, value in changes.items() if name in _TEXTS})

    chutes.change = change_texts  # type: ignore[method-assign]
