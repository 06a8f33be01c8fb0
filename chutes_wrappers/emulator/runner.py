"""The program of an emulated instance, in place of ``chutes run``: ``python runner.py module:chute``.

It uses the SDK's own loading, initialisation, middleware and server (SDK entrypoint/run.py). The SDK's native guard works only
on the platform. Here a key from the environment replaces it: for encryption, decryption and the check of the caller. The
server of attestation evidence runs without evidence. Not emulated: TLS and HTTP/2, end-to-end encryption, jobs.

This file is copied into containers of images that do not have our package. It imports our package only as a process of this machine,
or where an image has it. It imports the SDK only when it runs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import inspect
import ipaddress
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "CHUTES_EMULATOR_KEY"
HOST_VARIABLE = "CHUTES_EMULATOR_HOST"
PORT_VARIABLE = "CHUTES_EMULATOR_PORT"
LOGGING_PORT_VARIABLE = "CHUTES_EMULATOR_LOGGING_PORT"
EVIDENCE_PORT_VARIABLE = "CHUTES_EMULATOR_EVIDENCE_PORT"
PARENT_VARIABLE = "CHUTES_EMULATOR_PARENT"
LAUNCH_VARIABLE = "CHUTES_EMULATOR_LAUNCH"

# Sends a request directly to the wrapped service: the parity check compares the response with the chute's.
DIRECT_PATH = "/_emulator/direct"
# As much as a route returns (runtime/gateway.py). A stream of the service may have no end.
_MAX_DIRECT_BYTES = 512 * 1024**2
# The same as the gateway's (runtime/response_heads.py).
_MAX_HEAD_BYTES = 512 * 1024
_MAX_REDIRECTS = 10
_HEAD_LIMITS: dict[str, Any] = {
    "max_line_size": _MAX_HEAD_BYTES,
    "max_field_size": _MAX_HEAD_BYTES,
    "max_headers": _MAX_HEAD_BYTES // 4,
}
# What aiohttp adds by itself: the request says all its headers.
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# host/parity/comparison.py has the same: this file has no imports of our package.
_STREAM_TYPES = frozenset(
    {"text/event-stream", "multipart/x-mixed-replace", "application/x-ndjson", "application/ndjson"}
    | {"application/jsonl", "application/json-seq", "application/stream+json"}
)

NONCE_HEADER = "X-Chutes-Nonce"
SIGNATURE_HEADER = "X-Chutes-Signature"
_SDK_EVIDENCE_PORT = "CHUTES_TEE_EVIDENCE_PORT"
# SDK entrypoint/_shared.py, authenticate_request.
_MAX_NONCE_AGE_S = 540
# The SDK accepts 127.0.0.1 without encryption (health checks), so the emulator's calls need another address.
# This one is reserved for documentation (RFC 5737).
_PLATFORM_ADDRESS = "192.0.2.1"
_PARENT_CHECK_S = 1.0
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_IV_BYTES = 12

_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]


class _ExactMethod(str):
    """A method that aiohttp does not write in capitals: RFC 9110 has case-sensitive methods."""

    __slots__ = ()

    def upper(self) -> str:
        return self


class SessionCipher:
    """A replacement for the SDK's native session encryption: AES-GCM with one key for one instance."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def encrypt(self, plain: bytes) -> bytes:
        """Return a new IV followed by the encrypted ``plain``."""
        iv = secrets.token_bytes(_IV_BYTES)
        return iv + self._cipher.encrypt(iv, plain, None)

    def decrypt(self, encrypted: bytes) -> bytes | None:
        """Return the decrypted bytes; None for invalid data, as the SDK's guard does."""
        try:
            return self._cipher.decrypt(encrypted[:_IV_BYTES], encrypted[_IV_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    def sign(self, nonce: str, body: bytes) -> str:
        """Return the signature of a request. ``nonce`` is its time in unix seconds."""
        text = f"{nonce}:{hashlib.sha256(body).hexdigest() if body else 'chutes'}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def is_signature_valid(self, nonce: str, signature: str, body: bytes) -> bool:
        """Whether ``signature`` was made with this key and is not too old."""
        if not nonce.isdigit() or time.time() - int(nonce) >= _MAX_NONCE_AGE_S:
            return False
        return hmac.compare_digest(self.sign(nonce, body), signature)


@dataclass(frozen=True)
class Settings:
    """The settings from the environment. The instance ends when the process ``parent`` ends.

    ``launch`` is a manifest file with the launch facts of the wrapped service, for an instance without an image.
    """

    cipher: SessionCipher = field(repr=False)
    host: str
    port: int
    logging_port: int
    evidence_port: int
    parent: int | None
    launch: str | None


def pop_settings(environment: MutableMapping[str, str]) -> Settings:
    """Read the settings and remove them, so that module and service do not get them. Raises KeyError without a key."""
    parent = environment.pop(PARENT_VARIABLE, "")
    return Settings(
        cipher=SessionCipher(bytes.fromhex(environment.pop(KEY_VARIABLE))),
        host=environment.pop(HOST_VARIABLE, "0.0.0.0"),
        port=int(environment.pop(PORT_VARIABLE, "8000")),
        logging_port=int(environment.pop(LOGGING_PORT_VARIABLE, "8001")),
        evidence_port=int(environment.pop(EVIDENCE_PORT_VARIABLE, "8002")),
        parent=int(parent) if parent else None,
        launch=environment.pop(LAUNCH_VARIABLE, None),
    )


class PlatformAddress:
    """ASGI middleware outside of the SDK's: signed requests get a client address that is not this machine's."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and any(name == SIGNATURE_HEADER.lower().encode() for name, _ in scope["headers"]):
            scope["client"] = (_PLATFORM_ADDRESS, 0)
        await self._app(scope, receive, send)


def replace_guard(cipher: SessionCipher) -> Any:
    """Return the SDK's ``entrypoint.run`` with ``cipher`` in place of its native guard."""
    from chutes.entrypoint import logger as logging_server
    from chutes.entrypoint import run as sdk
    from fastapi.responses import ORJSONResponse

    async def authenticate_request(request: Any) -> tuple[bytes | None, Any]:
        body = await request.body() if request.method in ("POST", "PUT", "PATCH") else None
        nonce, signature = (request.headers.get(name, "") for name in (NONCE_HEADER, SIGNATURE_HEADER))
        if not cipher.is_signature_valid(nonce, signature, body or b""):
            return None, ORJSONResponse(status_code=401, content={"detail": "go away (sig)"})
        return body, None

    sdk.aegis_encrypt = cipher.encrypt
    sdk.aegis_decrypt = cipher.decrypt
    sdk.authenticate_request = logging_server.authenticate_request = authenticate_request
    return sdk


async def serve(reference: str, settings: Settings) -> None:
    """Load the chute and serve it, in the order of the SDK's ``_run_chute``."""
    sdk = replace_guard(settings.cipher)
    _start_logging_server(settings)
    await _start_evidence_server(settings)
    _, loaded = sdk.load_chute(chute_ref_str=reference, config_path=None, debug=False)
    chute = loaded.chute if isinstance(loaded, sdk.ChutePack) else loaded
    await chute.initialize()
    chute.add_middleware(sdk.GraValMiddleware, concurrency=chute.concurrency)
    _add_emulator_routes(sdk, chute)
    concurrency = max(1, int(getattr(chute, "concurrency", 1) or 1))
    sdk.init_user_code_executor(concurrency)
    config = sdk.HypercornConfig()
    config.bind = [f"{settings.host}:{settings.port}"]
    config.h2_max_concurrent_streams = max(256, concurrency * 8)
    config.keep_alive_timeout = 75
    config.graceful_timeout = 30
    app = _wrap_in_local_guard(PlatformAddress(chute), settings)
    await sdk.hypercorn_serve(app, config, shutdown_trigger=asyncio.Event().wait)


def _wrap_in_local_guard(app: _App, settings: Settings) -> _App:
    """Return ``app``, behind the local guard for a process of this machine, which browsers can reach."""
    if settings.parent is None:
        return app
    from chutes_wrappers.core.local_guard import LocalGuard
    from chutes_wrappers.runtime.guarded_app import GuardedApp

    return GuardedApp(app, LocalGuard(loopback_origins=False))


def _start_logging_server(settings: Settings) -> None:
    from chutes.entrypoint import logger as logging_server

    logging_server.app.middleware_stack = _wrap_in_local_guard(logging_server.app.build_middleware_stack(), settings)

    def run() -> None:
        asyncio.run(logging_server.launch_server(host=settings.host, port=settings.logging_port, dev=False))

    threading.Thread(target=run, daemon=True).start()


async def _start_evidence_server(settings: Settings) -> None:
    """Start the SDK's server, which every TEE chute has (SDK entrypoint/verify.py). Raises OSError for a port in use."""
    from chutes.entrypoint import verify

    # The SDK accepts any listener on the port as its server, as long as its own has not failed yet.
    socket.create_server((settings.host, settings.evidence_port)).close()

    def build_config(app: _App, **options: Any) -> Any:
        # The SDK binds 0.0.0.0, for a pod. Without a lifespan, the error of a module that fails to load is the last log line.
        config_options = {**options, "host": settings.host, "lifespan": "off"}
        return uvicorn_config(app=_wrap_in_local_guard(app, settings), **config_options)

    uvicorn_config, verify.Config = verify.Config, build_config
    os.environ[_SDK_EVIDENCE_PORT] = str(settings.evidence_port)
    try:
        await verify.TeeEvidenceService().start(e2e_pubkey="")
    finally:
        verify.Config = uvicorn_config
        del os.environ[_SDK_EVIDENCE_PORT]


def _add_emulator_routes(sdk: Any, chute: Any) -> None:
    async def conn_stats() -> Any:
        return sdk._conn_stats.get_stats()

    chute.add_api_route("/_ping", sdk.pong, methods=["POST"])
    chute.add_route(DIRECT_PATH, _handle_direct_request, methods=["POST"])
    chute.add_api_route("/_metrics", sdk.get_metrics, methods=["GET"])
    chute.add_api_route("/_conn_stats", conn_stats, methods=["GET"])


async def _handle_direct_request(request: Any) -> Any:
    """Send the request that the body describes: ``{"port", "method", "target", "headers", "body": base64, "timeout", "sample"}``."""
    from starlette.responses import JSONResponse

    call = request.state.decrypted
    result = await _send_direct_request({**call, "headers": _add_chute_headers(request.app, call)})
    return JSONResponse({"json": request.state._encrypt(json.dumps(result))})


def _add_chute_headers(chute: Any, call: Any) -> dict[str, str]:
    """Return the headers of a direct request, with those that the chute sends to its services (sdk/header_wiring.py)."""
    if (service_headers := getattr(chute, "service_headers", None)) is not None:
        path = call["target"].partition("?")[0]
        route = call.get("route") or ""
        completed: dict[str, str] = service_headers.complete(call["headers"], call["port"], call["method"], path, route)
        return completed
    own_names = {name.lower() for name in call["headers"]}
    defaults = {
        name: value for name, value in (chute.passthrough_headers or {}).items() if name.lower() not in own_names
    }
    return {**defaults, **call["headers"]}


async def _send_direct_request(request: Any) -> dict[str, Any]:
    """Return the service's response, or ``{"problem", "kind"}`` without one within ``timeout`` seconds.

    Of a stream without an end the first ``sample`` seconds are read; ``is_cut`` says so.
    """
    import aiohttp

    try:
        return await asyncio.wait_for(_exchange(request), request["timeout"])
    except asyncio.TimeoutError:
        return {"problem": f"no response within {request['timeout']:g} s", "kind": "timeout"}
    except aiohttp.ClientConnectorError as error:
        return {"problem": str(error), "kind": "unreachable"}
    except aiohttp.ClientResponseError as error:
        return {"problem": f"the response cannot be read: {' '.join(error.message.split())[:200]}", "kind": "broken"}
    except (aiohttp.ClientError, OSError) as error:
        return {"problem": f"{type(error).__name__}: {error}", "kind": "broken"}


async def _exchange(request: Any) -> dict[str, Any]:
    """Send a request and follow redirects within the service only, as the gateway does (runtime/upstream.py)."""
    for _ in range(_MAX_REDIRECTS):
        async with _open_session() as session, _start_request(session, request) as response:
            if response.status not in _REDIRECT_STATUSES or "Location" not in response.headers:
                return await _read_response(response, request["sample"])
            request, status = _follow_redirect(request, response), response.status
        if request is None:
            break
    return {"status": status, "content_type": "", "body": ""}


def _open_session() -> Any:
    import aiohttp

    known = inspect.signature(aiohttp.ClientSession.__init__).parameters  # of the image's version
    return aiohttp.ClientSession(
        connector=_make_connector(),
        request_class=_find_request_class(),
        auto_decompress=True,
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=_AUTO_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        **{name: value for name, value in _HEAD_LIMITS.items() if name in known},
    )


def _make_connector() -> Any:
    """Return the gateway's connector, which repairs responses; aiohttp's in an image without our package, or with an older one."""
    import aiohttp

    # One request uses it. A connection that is never kept has "Connection: close" in the request, and a service may repeat that.
    try:
        from chutes_wrappers.runtime.connection_pool import make_connector

        return make_connector()
    except (ImportError, TypeError):
        return aiohttp.TCPConnector()


def _find_request_class() -> Any:
    """Return the gateway's class of requests; aiohttp's in an image without our package, or with an older one."""
    import aiohttp

    try:
        from chutes_wrappers.runtime.client_sessions import ExactRequest
    except ImportError:
        return aiohttp.ClientRequest
    return ExactRequest


def _start_request(session: Any, request: Any) -> Any:
    from yarl import URL

    url = URL(f"http://127.0.0.1:{request['port']}{request['target']}", encoded=True)
    data = base64.b64decode(request["body"]) or None
    return session.request(
        _ExactMethod(request["method"]), url, data=data, headers=request["headers"], allow_redirects=False
    )


def _follow_redirect(request: Any, response: Any) -> Any:
    """Return the request to which a redirect leads; None when that is another service."""
    from yarl import URL

    try:
        target = response.url.join(URL(response.headers["Location"]))
    except ValueError:
        return None
    # Without a port, it is the URL of the service behind a proxy.
    is_port = target.explicit_port in (None, response.url.port)
    if target.scheme != "http" or not _is_own_host(target.host or "") or not is_port:
        return None
    followed = {**request, "target": target.raw_path_qs}
    if response.status == 303 or (response.status in (301, 302) and request["method"] == "POST"):
        headers = {name: value for name, value in request["headers"].items() if name.lower() != "content-type"}
        followed = {**followed, "method": "GET", "headers": headers, "body": ""}
    return followed


def _is_own_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f".{host.lower().rstrip('.')}".endswith(".localhost")
    return address.is_loopback or address.is_unspecified


async def _read_response(response: Any, sample_s: float) -> dict[str, Any]:
    content = bytearray()
    is_cut = await _read_content(response, content, sample_s)
    if len(content) > _MAX_DIRECT_BYTES:
        return {"problem": f"the response is larger than {_MAX_DIRECT_BYTES // 1024**2} MiB", "kind": "broken"}
    return {
        "status": response.status,
        "content_type": response.headers.get("Content-Type", ""),
        "challenge": response.headers.get("WWW-Authenticate", ""),
        "body": base64.b64encode(content).decode(),
        "is_cut": is_cut,
    }


async def _read_content(response: Any, content: bytearray, sample_s: float) -> bool:
    """Read the body into ``content``, of a stream without a length ``sample_s`` seconds from its first byte. Return whether it went on."""
    media_type = response.content_type.lower()
    may_be_endless = response.content_length is None and (media_type in _STREAM_TYPES or media_type.startswith("text/"))
    pieces = response.content.iter_any()

    async def read_rest() -> None:
        async for piece in pieces:
            content.extend(piece)
            if len(content) > _MAX_DIRECT_BYTES:
                return

    async for piece in pieces:
        content += piece
        break
    if not may_be_endless:
        await read_rest()
        return False
    try:
        await asyncio.wait_for(read_rest(), sample_s)
    except asyncio.TimeoutError:
        return True
    return False


def _exit_with_parent(parent: int) -> None:
    """End this process soon after its ``parent`` has ended, also when that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _set_launch_manifest(manifest: str) -> None:
    """Set the manifest from which our package, if the module uses it, starts the service."""
    from chutes_wrappers.runtime import startup

    startup.BAKED_MANIFEST = manifest  # type: ignore[attr-defined]  # a constant that this module replaces


def main() -> None:
    """Serve until the process is ended. The exit code is 1 when the chute cannot be served."""
    settings = pop_settings(os.environ)
    if settings.parent is not None:
        _exit_with_parent(settings.parent)
    if settings.launch is not None:
        _set_launch_manifest(settings.launch)
    try:
        asyncio.run(serve(sys.argv[1], settings))
    except Exception:  # noqa: BLE001  # as in the SDK: any error of a module ends the instance
        # The SDK waits a minute here, so that its log can be fetched. The emulator has read the log already.
        sys.stdout.write(f"Unexpected error executing _run_chute(): {traceback.format_exc()}")
        raise SystemExit(1) from None


if __name__ == "__main__":  # in an image
    # The first entry is the folder of this file: the module must not be able to import `runner`.
    if not getattr(
        sys.flags, "safe_path", False
    ):  # with PYTHONSAFEPATH, which an image may set, there is no such entry
        sys.path.pop(0)
    main()
