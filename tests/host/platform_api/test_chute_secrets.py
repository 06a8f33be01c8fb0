"""Secrets of a chute: where a stored one is found, and what no error contains."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api import chute_secrets
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.chute_secrets import SecretSlot, find_secret_id, remove_secret, store_secret

SLOT = SecretSlot(chute_id="1a42e2ae-9de2-5146-9a55-9d0a0dd82028", name="one", key="TOK")
# A key of several lines, with characters that JSON escapes.
VALUE = 'first "line" of it\nsecond\tline of ü\n'


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chute_secrets, "PAUSES_S", (0.0,))


class Server(ThreadingHTTPServer):
    """An API that lists ``items``, and responds to every change with ``status`` and ``body``."""

    daemon_threads = True
    items: Sequence[object]
    status: int
    body: str


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.reply(200, json.dumps({"total": len(self.server.items), "items": self.server.items}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(self.server.status, self.server.body)

    do_DELETE = do_POST

    def reply(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(60)


@pytest.fixture
def api(server: Server) -> Iterator[PlatformApi]:
    with PlatformApi(f"http://127.0.0.1:{server.server_port}", KeyCredentials(key="cpk_x")) as connected:
        server.items, server.status, server.body = (), 200, "{}"
        yield connected


@pytest.mark.parametrize(
    ("purpose", "key", "is_found"),
    [
        (SLOT.chute_id, "TOK", True),
        (SLOT.chute_id.upper(), "TOK", True),
        ("one", "TOK", True),
        ("One", "TOK", True),
        ("two", "TOK", False),
        ("one", "tok", False),
        (None, "TOK", False),
    ],
)
def test_a_stored_secret_is_found_by_the_chutes_id_and_by_its_name(
    server: Server, api: PlatformApi, purpose: object, key: str, is_found: bool
) -> None:
    other = {"secret_id": "other", "purpose": "two", "key": "X"}
    server.items = ("text", other, {"secret_id": "s-1", "purpose": purpose, "key": key})
    assert find_secret_id(api, SLOT) == ("s-1" if is_found else None)


LISTED = {"secret_id": "s-1", "purpose": SLOT.chute_id, "key": "TOK"}


def test_a_stored_secret_is_returned_by_its_listed_id(server: Server, api: PlatformApi) -> None:
    server.items, server.body = (LISTED,), json.dumps({"secret_id": "s-1", "value": VALUE})
    assert store_secret(api, SLOT, VALUE) == "s-1"
    server.status = 502
    assert store_secret(api, SLOT, VALUE) == "s-1"
    server.items, server.status = (), 200
    with pytest.raises(WrapperError, match="does not list the secret TOK of one"):
        store_secret(api, SLOT, VALUE)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"detail": f"bad value {VALUE!r} {VALUE}"}),
        json.dumps({"detail": {"input": {"value": VALUE}, "text": json.dumps(VALUE)}}),
        json.dumps({"detail": [{"msg": f"no {VALUE}", "loc": ["body", "value"]}]}, ensure_ascii=False),
        f"<html><title>{VALUE}</title></html>",
        VALUE,
        "x" * 390 + VALUE,  # cut off in the middle
    ],
)
@pytest.mark.parametrize("status", [200, 400, 422, 500])
def test_no_error_has_a_part_of_the_value(server: Server, api: PlatformApi, status: int, body: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(WrapperError) as caught:
        store_secret(api, SLOT, VALUE)
    for part in ("first", "of it", "second", "of ü"):
        assert part not in str(caught.value), part


@pytest.mark.parametrize("form", [str, json.dumps, repr, lambda value: json.dumps(json.dumps(value))])
def test_no_error_has_a_text_in_a_value_that_is_json(
    server: Server, api: PlatformApi, form: Callable[[str], str]
) -> None:
    value = json.dumps({"type": "key", "private": ['canary-1\ncanary "2"', {"x": "canary-3"}]}, indent=1)
    server.status, server.body = 422, json.dumps({"detail": {"input": form(value), "body": value}})
    with pytest.raises(WrapperError) as caught:
        store_secret(api, SLOT, value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "items", "step"),
    [
        (404, (), "deploy it with --deploy, set the secret, then start the first instance"),
        (409, (LISTED,), "secrets delete s-1"),
        (409, ({**LISTED, "purpose": "else"},), "secrets list"),
        (403, (), "permissions"),
    ],
)
def test_a_refusal_has_the_next_step(
    server: Server, api: PlatformApi, status: int, items: Sequence[object], step: str
) -> None:
    server.status, server.items, server.body = status, items, '{"detail": "no"}'
    with pytest.raises(WrapperError) as caught:
        store_secret(api, SLOT, VALUE)
    assert step in str(caught.value.next_step)


@pytest.mark.parametrize("status", [404, 502])
def test_the_old_secret_is_deleted_when_the_list_lacks_it(server: Server, api: PlatformApi, status: int) -> None:
    server.status = status
    remove_secret(api, SLOT, "s-1")
    server.items = (LISTED,)
    with pytest.raises(WrapperError, match="still has its old value"):
        remove_secret(api, SLOT, "s-1")
