"""The client of the Chutes API (PLATFORM.md, section 5): authenticated requests, parsed responses, and errors.

A GET is retried after a lost connection and after 502, 503 and 504. Any other request is sent once. The timeout limits a whole
response with these retries; only a stream that the user follows has a timeout for its head alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import requests
from urllib3.exceptions import ReadTimeoutError

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.account.credentials import Credentials, KeyCredentials, has_account, read_account
from chutes_wrappers.host.http_sessions import HostSession
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_urls import build_url_error, resolve_api_url
from chutes_wrappers.host.platform_api.http_adapters import (
    RetryAdapter,
    StreamAdapter,
    read_body,
    run_with_deadline,
    split_lines,
)

TIMEOUT_VARIABLE = "CHUTES_API_TIMEOUT"
_TIMEOUT_S = 30.0
_FIRST_EVENT_S = 5.0
_MIN_TIMEOUT_S = 0.01
_INVALID_URL_ERRORS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
_PAGE_SIZE = 100
_MOST_PAGES = 1000


class PlatformRequestFailed(WrapperError):
    """The API returned an error; ``status`` is the status of its response."""

    def __init__(self, what: str, *, status: int, where: str, evidence: str, next_step: str) -> None:
        super().__init__(what, where=where, evidence=evidence, next_step=next_step)
        self.status = status


class PlatformUnreachable(WrapperError):
    """The API did not respond, or closed the connection early. A request that changes something may have succeeded."""


class UnexpectedResponse(WrapperError):
    """The response is not what the platform sends: a page, or cut-off JSON. The request may have succeeded all the same."""


class _Session(HostSession):
    """A session of the API; ``end`` ends its running request."""

    def __init__(self, adapter: RetryAdapter) -> None:
        super().__init__(adapter)
        self.end = adapter.end


class PlatformApi:
    """The API at ``url``, with ``credentials``. A context manager, for one thread at a time.

    ``username`` is the account's, or empty when the credentials do not contain it.
    ``what`` of each method describes the request in error messages: "requesting the chute 'x'". All methods raise
    PlatformRequestFailed, PlatformUnreachable and UnexpectedResponse. ``timeout_s`` limits each whole response, with its retries.
    """

    def __init__(self, url: str, credentials: Credentials, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url
        self.username = credentials.username
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._end_at = float("inf")
        self._session = _Session(RetryAdapter())

    def __enter__(self) -> PlatformApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def limit_time(self, seconds: float) -> None:
        """End every later request at the latest so many seconds from now, with PlatformUnreachable."""
        self._end_at = time.monotonic() + seconds

    @property
    def _remaining_s(self) -> float:
        return min(self._timeout_s, max(_MIN_TIMEOUT_S, self._end_at - time.monotonic()))

    def get(self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON object at ``path``; ``purpose`` is the part of the signature: "images", "chutes", "me", …"""
        return self._parse_object(self._send("GET", path, what, purpose=purpose, params=params), what)

    def get_array(self, path: str, what: str, *, purpose: str) -> list[Any]:
        """Return the JSON array at ``path``, as ``get`` returns an object."""
        response = self._send("GET", path, what, purpose=purpose)
        value = _parse_json(response.content)
        if isinstance(value, list):
            return value
        raise self._build_response_error(what, path, self._format_detail(response.text))

    def get_text(self, path: str, what: str, *, purpose: str) -> str:
        """Return the text at ``path``, of which nothing is shown while it arrives: the timeout limits all of it."""
        response = self._send("GET", path, what, purpose=purpose)
        if "html" in response.headers.get("Content-Type", ""):
            raise self._build_response_error(what, path, self._format_detail(response.text))
        return response.content.decode(errors="replace")

    def get_or_start_stream(self, path: str, what: str, *, purpose: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON object at ``path``, or that of the first event of an event stream.

        Empty when the stream has no event within five seconds: it goes on for minutes.
        """
        with (
            _Session(StreamAdapter()) as session,
            contextlib.closing(
                self._send("GET", path, what, purpose=purpose, params=params, session=session)
            ) as response,
        ):
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return self._parse_object(response, what)
            lines = split_lines(response.iter_content(chunk_size=1))
            timeout_s = min(_FIRST_EVENT_S, self._remaining_s)
            try:
                return run_with_deadline(lambda: _find_event(lines), timeout_s, session.end)
            except TimeoutError:
                return {}
            except requests.RequestException as error:
                raise self._build_connection_error(what, path, error) from error

    def find(self, path: str, what: str, *, purpose: str) -> dict[str, Any] | None:
        """Return the JSON object at ``path`` as ``get`` does, or None for a 404."""
        try:
            return self.get(path, what, purpose=purpose)
        except PlatformRequestFailed as error:
            if error.status == requests.codes.not_found:
                return None
            raise

    def list_items(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        """Yield every item of the list at ``path``, page by page."""
        for page in self.list_pages(path, what, purpose=purpose, params=params):
            yield from page["items"]

    def list_pages(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield every page of the list at ``path``: an object whose ``items`` are a list. ``params`` may have its ``limit``."""
        number, item_count = 0, 0
        while True:
            page_params = {"limit": _PAGE_SIZE, **(params or {}), "page": number}
            page = self.get(path, what, purpose=purpose, params=page_params)
            items, total = page.get("items"), page.get("total")
            if not isinstance(items, list):
                raise self._build_response_error(what, path, f"a list without items: {json.dumps(page)[:200]}")
            yield page
            number, item_count = number + 1, item_count + len(items)
            # Without a total, a page that is not full is the last one.
            is_last = item_count >= total if isinstance(total, int) else len(items) < page_params["limit"]
            if not items or is_last:
                return
            if number == _MOST_PAGES:
                raise self._build_response_error(what, path, f"its list has more than {_MOST_PAGES} pages")

    def fetch_date(self, path: str, what: str) -> str:
        """Return the Date header of the response; empty when missing."""
        return self._send("GET", path, what).headers.get("Date", "")

    def post(
        self,
        path: str,
        what: str,
        body: Mapping[str, Any],
        *,
        params: Mapping[str, Any] | None = None,
        secrets: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Send the JSON object ``body``, and return the JSON object of the response.

        ``secrets`` are values in the body that no error may contain.
        """
        response = self._send("POST", path, what, body=json.dumps(body).encode(), params=params, secrets=secrets)
        return self._parse_object(response, what, secrets)

    def put(self, path: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send the JSON object ``body`` with PUT, and return the JSON object of the response."""
        return self._parse_object(self._send("PUT", path, what, body=json.dumps(body).encode()), what)

    def delete(self, path: str, what: str, *, purpose: str) -> dict[str, Any]:
        """Send a DELETE, and return the JSON object of the response."""
        return self._parse_object(self._send("DELETE", path, what, purpose=purpose), what)

    def stream_lines(
        self,
        path: str,
        what: str,
        *,
        purpose: str,
        params: Mapping[str, Any] | None = None,
        silence_s: float | None = None,
        limit_s: float | None = None,
    ) -> Iterator[str]:
        """Yield the lines of a text or of an event stream as they arrive; minutes may pass between two lines.

        With ``silence_s`` the lines end after so many seconds without any data, with ``limit_s`` after so many seconds in all.
        With both, a caller waits at most the sum of the two.
        """
        adapter = StreamAdapter()
        with (
            _Session(adapter) as session,
            contextlib.closing(
                self._send("GET", path, what, purpose=purpose, params=params, session=session)
            ) as response,
        ):
            try:
                if "html" in response.headers.get("Content-Type", ""):
                    raise self._build_response_error(what, path, self._format_detail(response.text))
                # The head of a stream arrives soon, but then a step of a build may be silent for minutes.
                adapter.set_read_timeout(silence_s)
                for line in split_lines(_read_until(response, limit_s)):
                    yield line.decode(errors="replace")
            except requests.RequestException as error:
                if silence_s is not None and isinstance(error.args[0], ReadTimeoutError):
                    return
                raise self._build_connection_error(what, path, error) from error

    def _send(
        self,
        method: str,
        path: str,
        what: str,
        *,
        purpose: str = "",
        body: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        secrets: Sequence[str] = (),
        session: _Session | None = None,
    ) -> requests.Response:
        """Return the response, with its whole body; in a ``session`` of its own, a stream's head alone."""
        request: dict[str, Any] = {"headers": self._build_headers(body, purpose), "data": body, "params": params}
        used_session, timeout_s = session or self._session, self._remaining_s

        def exchange() -> requests.Response:
            response = used_session.request(method, f"{self.url}{path}", timeout=timeout_s, stream=True, **request)
            if session is None or not _is_stream(response):
                read_body(response)
            return response

        try:
            response = run_with_deadline(exchange, timeout_s, used_session.end)
        except _INVALID_URL_ERRORS as error:
            raise build_url_error(self.url) from error
        except requests.exceptions.InvalidHeader:
            raise _build_header_error(self._credentials.source) from None  # its text contains the credentials
        except (requests.RequestException, TimeoutError) as error:
            if isinstance(error, TimeoutError) and session is None:
                self._session.close()
                self._session = _Session(RetryAdapter())  # the other one has ended
            raise self._build_connection_error(what, path, error, secrets) from error
        if response.status_code // 100 != 2:
            raise self._build_request_error(response, what, secrets)
        return response

    def _build_headers(self, body: bytes | None, purpose: str) -> dict[str, str]:
        content_type = {} if body is None else {"Content-Type": "application/json"}
        return {**self._credentials.headers(body, purpose), **content_type}

    def _parse_object(self, response: requests.Response, what: str, secrets: Sequence[str] = ()) -> dict[str, Any]:
        value = _parse_json(response.content)
        if isinstance(value, dict):
            return value
        path = response.request.path_url
        raise self._build_response_error(what, path, self._format_detail(response.text, secrets))

    def _format_detail(self, text: str, secrets: Sequence[str] = ()) -> str:
        return error_responses.format_detail(text, (*self._credentials.secrets, *secrets))

    def _build_request_error(
        self, response: requests.Response, what: str, secrets: Sequence[str]
    ) -> PlatformRequestFailed:
        status = response.status_code
        detail = self._format_detail(response.text, secrets)
        return PlatformRequestFailed(
            f"{what}: the platform returned {status}",
            status=status,
            where=f"{response.request.method} {self.url}{response.request.path_url.partition('?')[0]}",
            evidence=error_responses.format_reason(response.text, (*self._credentials.secrets, *secrets)),
            next_step=error_responses.select_next_step(
                status, self._credentials.source, detail, is_read=response.request.method == "GET"
            ),
        )

    def _build_response_error(self, what: str, path: str, evidence: str) -> UnexpectedResponse:
        return UnexpectedResponse(
            f"{what}: the response is not from the platform",
            where=f"{self.url}{path.partition('?')[0]}",
            evidence=evidence,
            next_step=error_responses.select_next_step(200, self._credentials.source),
        )

    def _build_connection_error(
        self, what: str, path: str, error: Exception, secrets: Sequence[str] = ()
    ) -> PlatformUnreachable:
        return PlatformUnreachable(
            f"{what}: no response from the platform",
            where=f"{self.url}{path}",
            evidence=self._format_detail(f"{type(error).__name__}: {error}", secrets),
            next_step=f"check the network and the API URL; {TIMEOUT_VARIABLE} sets the timeout in seconds [30]",
        )


def _build_header_error(source: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source} is not valid in an HTTP header", next_step="remove line breaks and control characters from it"
    )


def _read_until(response: requests.Response, limit_s: float | None) -> Iterator[bytes]:
    """Yield the bytes of a stream; with ``limit_s`` for so many seconds, and then until the next byte."""
    end_at = float("inf") if limit_s is None else time.monotonic() + limit_s
    for piece in response.iter_content(chunk_size=1):
        yield piece
        if time.monotonic() > end_at:
            return


def _find_event(lines: Iterable[bytes]) -> dict[str, Any]:
    """Return the JSON object of the first event in ``lines``; empty without one."""
    for line in lines:
        value = _parse_json(line.removeprefix(b"data:"))
        if line.startswith(b"data:") and isinstance(value, dict):
            return value
    return {}


def _parse_json(text: str | bytes) -> Any:
    """Parse JSON; None for an invalid text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_stream(response: requests.Response) -> bool:
    """Return whether a response is a text or an event stream, which may go on for minutes: no page, no JSON, no error."""
    content_type = response.headers.get("Content-Type", "")
    return response.status_code // 100 == 2 and "html" not in content_type and "json" not in content_type


def connect(credentials: Credentials | None = None) -> PlatformApi:
    """Return a client of the platform's API with ``credentials``, by default the account in the SDK's configuration."""
    return PlatformApi(resolve_api_url(), credentials or read_account(), timeout_s=read_request_timeout_s())


def connect_to_read(key: str) -> PlatformApi:
    """Return a client with the account in the SDK's configuration; without an account, with the API key ``key``.

    Reads take an admin key only, whatever the scopes of another key are (PLATFORM.md, section 5).
    """
    return connect(None if has_account() else KeyCredentials(key=key))


def read_request_timeout_s() -> float:
    """Return the timeout of one request in seconds: ``CHUTES_API_TIMEOUT``, else 30."""
    text = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else _TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(
            f"{TIMEOUT_VARIABLE} is not a valid number of seconds: {text!r}", next_step="set it to seconds, such as 30"
        )
    return seconds
