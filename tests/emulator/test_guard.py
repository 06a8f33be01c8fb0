"""Access to a whole platform: pages of other sites, rebound names, other users of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from starlette.routing import Route

from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.emulator.app import create_app
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from chutes_wrappers.emulator.page.page_routes import build_page_router
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.emulator.api.client import Client, make_bearer_header
from tests.emulator.tokens import TOKEN

NOBODY = 65534
LARGE = 400 * 1024**2
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.chutes.ai"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:5173"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = Settings(
        registration_token=TOKEN,
        folder=tmp_path_factory.mktemp("state"),
        docker=False,
        allowed=AllowList(hosts=frozenset({"box.example"}), origins=frozenset({"https://app.example"})),
    )
    with run_platform(settings, HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def user(platform: RunningPlatform) -> Client:
    made = Client.register(platform.url, "tester")
    made.build_and_wait()
    assert made.deploy().ok
    return made


def list_routes() -> list[tuple[str, str]]:
    """Return method and path of every route of a platform: API, page, and a path that does not exist."""
    unused: Any = None
    api = create_app(unused).openapi()["paths"]
    routes = [(method.upper(), path) for path, operations in api.items() for method in operations]
    for route in build_page_router(unused, unused, "", "").routes:
        if isinstance(route, Route):
            routes += [(method, route.path) for method in sorted(route.methods or ())]
    assert len(routes) > 30
    return [*routes, ("GET", "/emulator/static/page.js"), ("GET", "/emulator/swagger/swagger-ui.css"), ("POST", "/x/y")]


def names_of(headers: dict[str, str]) -> str:
    return " ".join(headers.values())


@pytest.mark.parametrize("headers", FOREIGN, ids=names_of)
def test_no_route_accepts_foreign_requests(platform: RunningPlatform, user: Client, headers: dict[str, str]) -> None:
    for method, path in list_routes():
        response = requests.request(method, platform.url + path, headers=headers, timeout=60)
        assert response.status_code == 403, (method, path)
        assert method == "HEAD" or "may not" in response.text or "--allow-host" in response.text, (method, path)


@pytest.mark.parametrize("headers", FOREIGN[1:], ids=names_of)
def test_no_chute_accepts_foreign_requests(platform: RunningPlatform, user: Client, headers: dict[str, str]) -> None:
    host = {"Host": f"tester-case.localhost:{platform.port}"}
    sent = {**host, **make_bearer_header(platform.key), **headers}
    assert requests.post(f"{platform.url}/greet", json={}, headers=sent, timeout=60).status_code == 403


def test_a_foreign_websocket_is_rejected(platform: RunningPlatform) -> None:
    with socket.create_connection(("127.0.0.1", platform.port), timeout=60) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:1"},
        {"Host": "[::1]:8000"},
        {"Host": "box.example"},
        {"Host": "tester-case.chutes.ai"},
        {"Origin": "https://app.example"},
        {"Host": "localhost:9", "Origin": "http://localhost:9"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=names_of,
)
def test_own_hosts_pages_and_links_are_accepted(
    platform: RunningPlatform, user: Client, headers: dict[str, str]
) -> None:
    response = requests.get(f"{platform.url}/ping", headers=headers, timeout=60)
    assert (response.status_code, response.json()) == (200, {"message": "pong"})


def read_first_line(platform: RunningPlatform, head: str) -> bytes:
    """Send only the head of a request, and return the first line of the response."""
    with socket.create_connection(("127.0.0.1", platform.port), timeout=60) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n")
        return connection.makefile("rb").readline()


@pytest.mark.parametrize("length", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/images/", "", 401),
        ("/chutes/", "Authorization: Bearer cpk_unknown\n", 401),
        ("/chutes/", "Authorization: Basic dXNlcg==\n", 401),
        ("/logos/", "X-Chutes-Hotkey: 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty\n", 401),
        ("/nowhere", "", 401),
        ("/users/register", "", 400),
        ("/users/register?token=guessed", "", 403),
        ("/users/register?token=", "", 400),
        ("/emulator/call/tester-case/greet", "", 403),
        ("/emulator/call/tester-case/greet", f"{SECRET_HEADER}: guessed\n", 403),
    ],
)
def test_an_unknown_callers_body_is_rejected_before_it_is_read(
    platform: RunningPlatform, user: Client, path: str, more: str, status: int, length: str
) -> None:
    head = f"POST {path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n{more}{length}\n"
    assert read_first_line(platform, head).startswith(f"HTTP/1.1 {status} ".encode())


def test_an_unknown_callers_call_to_a_chute_is_rejected_before_its_body_is_read(
    platform: RunningPlatform, user: Client
) -> None:
    head = f"POST /greet HTTP/1.1\nHost: tester-case.localhost\nContent-Length: {LARGE}\n"
    assert read_first_line(platform, head).startswith(b"HTTP/1.1 401 ")


def test_a_large_registration_is_rejected(platform: RunningPlatform) -> None:
    body = b'{"username": "' + b"x" * 64 * 1024 + b'"}'
    url = f"{platform.url}/users/register?token={TOKEN}"
    assert requests.post(url, data=body, timeout=60).status_code == 413
    assert requests.post(url, data=iter([body[:9], body[9:]]), timeout=60).status_code == 413


def test_public_routes_need_no_account(platform: RunningPlatform) -> None:
    for path in ("/ping", "/pricing", "/", "/emulator/static/page.js"):
        assert requests.get(platform.url + path, timeout=60).status_code == 200, path


def test_a_closed_registration_rejects_everybody(
    platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with run_platform(
        Settings(registration_token=TOKEN, folder=tmp_path_factory.mktemp("closed"), docker=False)
    ) as closed:
        first = Client.register(closed.url, "first")
        closed.registration.close()
        assert first.get("/users/me", "me").status_code == 200
        response = first.post("/users/register", {"username": "second", "coldkey": first.account.hotkey}, token=TOKEN)
        assert (response.status_code, "Registration is closed" in response.text) == (403, True)


def test_tokens_and_page_secrets_are_new_each_time_and_not_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    secrets = set()
    for _ in range(2):
        settings = Settings(folder=tmp_path_factory.mktemp("state"), docker=False)
        assert settings.registration_token not in repr(settings)
        with run_platform(settings) as running:
            secrets |= {settings.registration_token, running.page_url.partition("#")[2]}
    assert len(secrets) == 4
    assert all(len(each) >= 32 for each in secrets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("-X", "POST", "-d", "{}", "/users/register?token=replaced"), 403),
        (("-X", "POST", "-d", "{}", "/images/"), 401),
        (("-X", "POST", "-d", "{}", "-H", "Origin: URL", "/emulator/call/tester-case/greet"), 403),
        (("-H", "Origin: URL", "-H", "Sec-Fetch-Site: same-origin", "/emulator/status.json"), 403),
        (("-H", "Origin: URL", "/emulator/log"), 403),
        (("/images/",), 401),
    ],
)
def test_another_local_user_has_no_access(
    platform: RunningPlatform, user: Client, arguments: tuple[str, ...], status: int
) -> None:
    *options, path = (each.replace("URL", platform.url) for each in arguments)
    curl = [str(shutil.which("curl")), "-sS", "-m", "10", "-o", os.devnull, "-w", "%{http_code}", *options]
    done = subprocess.run([*curl, platform.url + path], capture_output=True, text=True, check=False, user=NOBODY)
    assert done.stdout == str(status), done.stderr
