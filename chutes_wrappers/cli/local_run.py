"""The common steps of both run modes: poll until ready, verify the cords, show a call, wait for Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ServiceFailed, WrapperError
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.host.modules.module_examples import Examples, find_referenced_routes
from chutes_wrappers.host.parity.call_order import may_end_service
from chutes_wrappers.host.parity.comparison import is_readable
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.http_exchange import send_request
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

_POLL_S = 0.25
_LAST_LINES_S = 2.0
# After this line the SDK waits a minute before it ends (entrypoint/run.py, _logged_run).
_START_FAILED = "Unexpected error executing _run_chute()"
_LONGEST_START_S = 3600.0
_MAX_TRIED_CALLS = 5
_TRIED_CALL_S = 10.0
_TRIED_SAMPLE_S = 1.0


class ChuteLog:
    """A chute's log: printed as it arrives, with its last lines kept for an error."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._tail: deque[str] = deque(maxlen=50)
        self._start_failed = threading.Event()
        self._thread = threading.Thread(target=self._show, args=(lines,), daemon=True)
        self._thread.start()

    def check(self, exit_code: int | None) -> None:
        """Raise ServiceFailed if the chute ended (``exit_code``), or if its start-up failed and it has not ended yet."""
        if exit_code is None and not self._start_failed.is_set():
            return
        self._thread.join(_LAST_LINES_S)
        reason = "its start-up failed" if exit_code is None else f"it ended with exit code {exit_code}"
        raise ServiceFailed(
            f"the chute does not run: {reason}",
            evidence="\n".join(self._tail),
            next_step="fix the error in its last lines, then build and run again",
        )

    def _show(self, lines: Iterable[str]) -> None:
        with contextlib.suppress(WrapperError, ValueError):  # the container or the pipe no longer exists
            for line in lines:
                self._tail.append(line)
                output.log(line)
                if _START_FAILED in line:
                    self._start_failed.set()


def wait_until_ready(base_url: str, check_alive: Callable[[], None]) -> None:
    """Return once the chute responds over HTTP.

    ``check_alive`` raises when it can no longer become ready. Raises WrapperError after an hour.
    """
    started = time.monotonic()
    while time.monotonic() - started < _LONGEST_START_S:
        check_alive()
        if _fetch_paths(base_url) is not None:
            output.success(f"ready after {time.monotonic() - started:.0f} s at {base_url}")
            return
        time.sleep(_POLL_S)
    raise WrapperError("the chute did not become ready within an hour", next_step="find the reason in its log above")


def report_ready(base_url: str, cords: Sequence[Mapping[str, Any]], examples: Examples) -> None:
    """Verify that every cord is served, and print a call that was tried. Raises WrapperError with the missing cords.

    Tried are routes that only read, and those with an example of the module in ``examples``.
    """
    paths = _fetch_paths(base_url) or {}
    expected = [(cord["public_api_method"], cord["public_api_path"]) for cord in cords if cord["public_api_path"]]
    missing = [f"{method} {path}" for method, path in expected if method.lower() not in paths.get(path, {})]
    if missing:
        raise WrapperError(
            f"{len(missing)} of {len(expected)} cords are not served: {', '.join(missing[:10])}",
            where=base_url,
            next_step="the image was built from another version of the module or manifest: build it again",
        )
    output.success(f"all {len(expected)} cords are served")
    for method, path in expected:
        output.report(f"  {method:5} {path}")
    calls = [*_list_calls(cords, examples)]
    with output.show_status("Trying a call"):
        proven = next((call for call in calls[:_MAX_TRIED_CALLS] if _has_readable_response(base_url, call)), None)
    if proven is not None:
        output.report(f"Try it:  {_build_curl_command(base_url, proven)}")
    elif cords:
        reason = (
            "no call that was tried had a readable response" if calls else "no route can be tried without an example"
        )
        output.report(f"{reason}: --emulate calls every route")


def wait_until_interrupted(check_alive: Callable[[], None]) -> int:
    """Wait for Ctrl-C, which is a clean stop, and return 0. ``check_alive`` raises when the chute ends by itself."""
    try:
        output.report("Ctrl-C stops it.")
        while True:
            check_alive()
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        output.report("stopping")
        return 0


def _list_calls(cords: Sequence[Mapping[str, Any]], examples: Examples) -> Iterator[PublicCall]:
    """Yield calls that may be tried: with the module's examples, then GETs without values, health checks last."""
    gets = []
    for cord in cords:
        method, path = cord["public_api_method"], cord["public_api_path"]
        example = examples.get(f"{method} {path}")
        if example is not None and not [*find_referenced_routes(example)] and "content_of" not in json.dumps(example):
            yield PublicCall(method=method, path=path, example=example)
        elif method == "GET" and _can_be_tried(path):
            gets.append(PublicCall(method=method, path=path, example={}))
    yield from sorted(gets, key=lambda call: "health" in call.path)


def _can_be_tried(path: str) -> bool:
    return bool(path) and path != TUNNEL_PATH and not may_end_service(path)


def _has_readable_response(base_url: str, call: PublicCall) -> bool:
    body = None if call.method in BODILESS_METHODS else dict(call.fields)
    url = f"{base_url}{call.path}"
    response = send_request(
        call.method, url, timeout_s=_TRIED_CALL_S, sample_s=_TRIED_SAMPLE_S, json=body, params=call.query
    )
    return response.status == HTTPStatus.OK and is_readable(response)


def _build_curl_command(base_url: str, call: PublicCall) -> str:
    """Return a command that sends ``call`` to the chute at ``base_url``."""
    query = f"?{urlencode(call.query)}" if call.query else ""
    command = shlex.join(["curl", *build_method_flags(call.method), f"{base_url}{call.path}{query}"])
    if call.method in BODILESS_METHODS:
        return command
    return f"{command} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(call.example))}"


def build_method_flags(method: str) -> list[str]:
    """Return the flags with which curl sends ``method``: it would wait for the body of a HEAD with -X."""
    return {"GET": [], "HEAD": ["--head"]}.get(method, ["-X", method])


def _fetch_paths(base_url: str) -> dict[str, Any] | None:
    """Return the paths of the chute's OpenAPI document, which FastAPI serves in dev mode; None without a response."""
    import requests

    from chutes_wrappers.host.http_sessions import HostSession

    try:
        with HostSession() as session:
            response = session.get(f"{base_url}/openapi.json", timeout=5)
        paths: dict[str, Any] = response.json()["paths"]
        return paths
    except (requests.RequestException, ValueError, KeyError):
        return None
