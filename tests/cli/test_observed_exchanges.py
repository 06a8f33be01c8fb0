"""Requests and responses that were observed at the API's server of October 2025, as values, and what each command does then.

Numbers of the groups are those of the points of the list; ``api-observed`` has the requests.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chutes_wrappers.core import platform_checks
from chutes_wrappers.emulator.staleness import Staleness
from tests.cli.real_api import SECRET_VALUE, Row, World, build_settings
from tests.emulator.tiny import TinyLauncher
from tests.upstreams.api_of_2025 import run_api_of_2025
from tests.upstreams.platform_faults import Fault, FaultyPlatform, Handler, ReceivedRequest, lose_response

_EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Exchange:
    """A request, and the status and body of its response: JSON, or text.

    ``is_lost``: the platform did it before. ``is_later``: only after a request that changes something.
    """

    method: str
    path: str  # a regular expression of the whole path, without the query
    status: int
    body: Any
    is_lost: bool = False
    is_later: bool = False

    def is_request(self, received: ReceivedRequest) -> bool:
        """Return whether it is this request."""
        return received.method == self.method and bool(re.fullmatch(self.path, received.path.partition("?")[0]))

    def respond(self, handler: Handler) -> None:
        """Send the response."""
        is_text = isinstance(self.body, str)
        content_type = (_EVENTS if self.body.startswith("data:") else "text/plain") if is_text else "application/json"
        handler.send_reply(self.status, content_type, self.body if is_text else json.dumps(self.body))


def detail(text: Any) -> dict[str, Any]:
    return {"detail": text}


NOTICE = (
    "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * 3), which for this "
    "configuration is: $0.6\n To acknowledge this fee and proceed, re-run with --accept-fee"
)
BAN = json.dumps({"ban_reasons": ["base64 and exec", "a constant response"]})
IMAGE_ID = platform_checks.compute_image_id("tester", "case-wrapped", "v1")
BROKEN = {
    "image_id": IMAGE_ID,
    "name": "case-wrapped",
    "tag": "v1",
    "status": "error: exit 1",
    "user": {"username": "tester"},
}
STRANGER = {
    "chute_id": "1a42e2ae-9de2-5146-9a55-9d0a0dd82028",
    "name": "public-one",
    "public": True,
    "slug": "stranger-public-one",
    "user": {"username": "stranger"},
}
LIST = {"total": 1, "page": 0, "limit": 100, "items": [STRANGER], "cord_refs": {}}
PRICE = {"usd": {"hour": 1.8, "second": 0.0005}, "tao": {"hour": 0.006, "second": 0.0000017}}
DEPLOY = "--deploy MODULE --yes --accept-fee"


# Each row has the number of the point, the exchanges, and the command with its result.
ROWS: tuple[tuple[int, tuple[Exchange, ...], Row], ...] = (
    # 1. Money.
    (1, (Exchange("GET", "/pricing", 200, {"gpu_price_estimates": {"pro_6000": PRICE}}),), Row("--cost MODULE", 0, "$1.80|$5.40")),
    (1, (Exchange("GET", "/pricing", 200, {}),), Row("--cost MODULE", 0, "$1.80|$5.40|estimate")),
    (1, (Exchange("GET", "/pricing", 404, detail("Not Found")),), Row("--cost MODULE", 0, "$1.80|estimate")),
    # 2. Another user's name.
    (
        2,
        (Exchange("POST", "/images/", 401, detail("Cannot make images for users other than yourself!")),),
        Row("--build MODULE --yes", 1, "did not accept the image|check the account"),
    ),
    # 3. Secrets.
    (
        3,
        (Exchange("POST", "/secrets/", 404, detail("Did not find target chute case, or it does not belong to you")),),
        Row("--secret case TOKEN", 1, "Did not find target chute|deploy", stdin_text=SECRET_VALUE),
    ),
    (
        3,
        (Exchange("POST", "/secrets/", 409, detail("A secret already exists for this purpose with this key.")),),
        Row("--secret case NEW", 1, "exists", stdin_text=SECRET_VALUE),
    ),
    # 8. Outcomes of requests whose response was lost.
    (
        8,
        (Exchange("POST", "/secrets/", 502, detail("bad gateway"), is_lost=True),),
        Row("--secret case LOST", 0, "that start from now on have LOST", stdin_text=SECRET_VALUE),
    ),
    (
        8,
        (Exchange("POST", "/secrets/", 502, detail("bad gateway")),),
        Row("--secret case FAILED", 1, "502", "that start from now on", stdin_text=SECRET_VALUE),
    ),
    (8, (Exchange("GET", "/chutes/", 200, LIST),), Row("--list-chutes", 0, "", "public-one   ")),
    (8, (Exchange("DELETE", "/images/.*", 502, detail("bad gateway"), is_lost=True),), Row("--delete-image spare:v1 --yes", 0, "was deleted")),
    (8, (Exchange("DELETE", "/chutes/.*", 502, detail("bad gateway")),), Row("--delete case --yes", 1, "502", "was deleted")),
    (8, (Exchange("DELETE", "/chutes/.*", 502, detail("bad gateway"), is_lost=True),), Row("--delete gone --yes", 0, "was deleted")),
    (
        8,
        (Exchange("POST", "/chutes/share", 502, detail("bad gateway"), is_lost=True),),
        Row("--share case second", 1, "502"),
    ),
    # 4. Builds.
    (
        4,
        (
            Exchange("GET", "/images/[0-9a-f-]{36}/logs", 200, 'data: {"log": "step 7 of 9 failed"}\n\nDONE\n.\n.\n'),
            Exchange("GET", "/images/([0-9a-f-]{36}|.*:v1)", 200, BROKEN, is_later=True),
        ),
        Row("--build MODULE --yes", 1, "error: exit 1|step 7 of 9 failed|--delete-image case-wrapped:v1"),
    ),
    (
        4,
        (
            Exchange("GET", "/images/[0-9a-f-]{36}/logs", 200, "step 7 of 9 failed"),
            Exchange("GET", "/images/[0-9a-f-]{36}", 200, BROKEN),
        ),
        Row("--build MODULE --yes", 2, "error: exit 1|step 7 of 9 failed|--delete-image case-wrapped:v1"),
    ),
    (
        4,
        (Exchange("POST", "/images/", 502, detail("bad gateway"), is_lost=True),),
        Row("--build MODULE --yes", 0, "case-wrapped:v1 is built and pushed"),
    ),
    # 5. Reasons, and 1. the notice of the fee.
    (1, (Exchange("POST", "/chutes/", 402, detail(NOTICE)),), Row("--deploy MODULE --yes", 2, "costs $0.60 once|--accept-fee")),
    (5, (Exchange("POST", "/chutes/", 403, detail(BAN)),), Row(DEPLOY, 1, "base64 and exec|a constant response", "{")),
    # 9. Next steps.
    (
        9,
        (Exchange("POST", "/chutes/", 402, detail("You have a balance of 0.0.\nPlease top up your account with tao @ 5D")),),
        Row(DEPLOY, 1, "balance of 0.0|top up|--account"),
    ),
    (
        9,
        (Exchange("POST", "/logos/", 400, detail("Uploaded logo is not an image!")),),
        Row(DEPLOY + " --logo logo.png", 1, "400|PNG"),
    ),
    (9, (Exchange("POST", "/chutes/", 403, detail("You are not allowed to require 5090s")),), Row(DEPLOY, 1, "5090|NodeSelector")),
    (9, (Exchange("GET", "/users/me", 502, detail("bad gateway")),), Row("--doctor", 1, "502", "clock")),
    (9, (Exchange("GET", "/users/me", 503, detail("unavailable")),), Row("--doctor", 1, "503", "clock")),
    # 7. Logs without a key that may read them.
    (
        7,
        (Exchange("GET", "/instances/[0-9a-f-]{36}/logs", 401, detail("Either payload_str or purpose must be provided")),),
        Row("--logs case", 2, "--key admin", key=""),
    ),
    # 6. A warm-up that streams, and gets no instance.
    (
        6,
        (
            Exchange("GET", "/chutes/warmup/.*", 200, 'data: {"status": "cold", "log": "waiting for instances ..."}\n\n'),
        ),
        Row("--warmup cold --timeout 6", 1, "no instance|--timeout"),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, FaultyPlatform]]:
    """An account with three chutes, of which one is hot."""
    folder = tmp_path_factory.mktemp("world")
    with run_api_of_2025(build_settings(folder, Staleness()), TinyLauncher()) as (emulator, api):
        world = World(folder, emulator.url, api.url)
        for name in ("spare", "cold"):
            assert world.user.build_and_wait(name)
        for name in ("cold", "gone"):
            assert world.user.deploy(name=name).ok
        assert world.user.get("/chutes/warmup/case", quick="true").ok
        yield world, api


@contextlib.contextmanager
def respond_with(api: FaultyPlatform, exchanges: tuple[Exchange, ...]) -> Iterator[list[ReceivedRequest]]:
    """Let the API respond with ``exchanges`` to their requests; yield these requests."""
    found: list[ReceivedRequest] = []

    def find(received: ReceivedRequest) -> Exchange | None:
        has_changed = any(each.changes for each in api.received)
        return next(
            (each for each in exchanges if each.is_request(received) and (has_changed or not each.is_later)), None
        )

    def act(handler: Handler) -> None:
        exchange = find(handler.asked)
        assert exchange is not None
        found.append(handler.asked)
        fault = Fault("observed", exchange.respond)
        (lose_response(fault) if exchange.is_lost else fault).act(handler)

    with api.failing(Fault("observed", act), lambda received: find(received) is not None):
        yield found


@pytest.mark.parametrize(
    ("exchanges", "row"), [pytest.param(exchanges, row, id=f"{number}-{row.line}") for number, exchanges, row in ROWS]
)
def test_an_observed_response(server: tuple[World, FaultyPlatform], exchanges: tuple[Exchange, ...], row: Row) -> None:
    world, api = server
    world.prepare(row)
    with respond_with(api, exchanges) as found:
        problem = world.find_problem(row)
    assert not problem, problem
    assert found, "the command did not send the request"
