"""The Chutes API (PLATFORM.md, section 5): requests in the account's name, answers as values, failures as errors.

Reading is repeated after a lost connection and after 502, 503 and 504; what changes something is sent once.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import ReadTimeoutError

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.credentials import Credentials, KeyCredentials, account
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.sessions import RepeatingAdapter, StreamAdapter, session_with, split_lines
from chutes_wrappers.sdk.username import config_file

_DEFAULT_URL = "https://api.chutes.ai"
_CORRECT_URL = "correct base_url in [api], or CHUTES_API_URL where the file has none: https://api.chutes.ai"
_CHUTE_HOST = "https://{slug}.chutes.ai"
TIMEOUT_VARIABLE = "CHUTES_API_TIMEOUT"
_TIMEOUT_S = 30.0
_ITEMS_A_PAGE = 100
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PlatformRefused(WrapperError):
    """The API answered, and not with what was asked for. ``status`` is that of its answer."""

    def __init__(self, what: str, *, status: int, where: str, evidence: str, next_step: str) -> None:
        super().__init__(what, where=where, evidence=evidence, next_step=next_step)
        self.status = status


class PlatformUnreachable(WrapperError):
    """The API did not answer, or broke off; what became of a request that changes something is not known."""


class PlatformApi:
    """The API at ``url`` for whoever has ``credentials``. A context manager; not for several threads at once.

    ``what`` of each method says in a message what was asked for: "the chute 'x' is not told about". All raise
    PlatformRefused and PlatformUnreachable.
    """

    def __init__(self, url: str, credentials: Credentials, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._session = session_with(RepeatingAdapter())

    def __enter__(self) -> PlatformApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def get(self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object at ``path``; ``purpose`` is what the API wants signed: "images", "chutes", "me", …"""
        return self._value(self._ask("GET", path, what, purpose=purpose, params=params), what)

    def find(self, path: str, what: str, *, purpose: str) -> dict[str, Any] | None:
        """As ``get``; None when the API knows of no such thing."""
        try:
            return self.get(path, what, purpose=purpose)
        except PlatformRefused as refused:
            if refused.status == requests.codes.not_found:
                return None
            raise

    def items(self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Every item of the list at ``path``, page after page."""
        page, seen = 0, 0
        while True:
            asked = {**(params or {}), "page": page, "limit": _ITEMS_A_PAGE}
            answer = self.get(path, what, purpose=purpose, params=asked)
            items, total = answer.get("items"), answer.get("total")
            if not isinstance(items, list):
                raise self._unexpected(what, path, f"a list without items: {json.dumps(answer)[:200]}")
            yield from items
            page, seen = page + 1, seen + len(items)
            if not items or not isinstance(total, int) or seen >= total:
                return

    def date(self, path: str, what: str) -> str:
        """The time that the API's answer names (HTTP's Date); empty for none."""
        return self._ask("GET", path, what).headers.get("Date", "")

    def post(
        self, path: str, what: str, body: Mapping[str, Any], *, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What the API answers to the JSON object ``body``."""
        sent = json.dumps(body).encode()
        return self._value(self._ask("POST", path, what, body=sent, params=params), what)

    def delete(self, path: str, what: str, *, purpose: str) -> dict[str, Any]:
        """What the API answers to a deletion."""
        return self._value(self._ask("DELETE", path, what, purpose=purpose), what)

    def lines(
        self,
        path: str,
        what: str,
        *,
        purpose: str,
        params: Mapping[str, Any] | None = None,
        silence_s: float | None = None,
    ) -> Iterator[str]:
        """The lines of a text or of a stream of events, as they come; a line may be minutes after the one before.

        With ``silence_s`` they end when none has come for so many seconds.
        """
        adapter = StreamAdapter()
        with (
            session_with(adapter) as session,
            contextlib.closing(
                self._ask("GET", path, what, purpose=purpose, params=params, streamed_by=session)
            ) as answer,
        ):
            try:
                if "html" in answer.headers.get("Content-Type", ""):
                    raise self._unexpected(what, path, error_responses.detail(answer.text, self._credentials.secrets))
                # The head of a stream comes soon, but then it is silent for as long as the step of a build takes.
                adapter.limit_pauses(silence_s)
                for line in split_lines(answer.iter_content(chunk_size=1)):
                    yield line.decode(errors="replace")
            except requests.RequestException as error:
                if silence_s is not None and isinstance(error.args[0], ReadTimeoutError):
                    return
                raise self._broken_off(what, path, error) from error

    def _ask(
        self,
        method: str,
        path: str,
        what: str,
        *,
        purpose: str = "",
        body: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        streamed_by: requests.Session | None = None,
    ) -> requests.Response:
        headers = dict(self._credentials.headers(body, purpose))
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = (streamed_by or self._session).request(
                method,
                f"{self.url}{path}",
                headers=headers,
                data=body,
                params=params,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=streamed_by is not None,
            )
            if answer.status_code // 100 != 2:
                raise self._refused(answer, what)
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ) as error:
            raise ConfigurationError(
                f"the API's address {self.url!r} is none",
                where=f"{config_file()}, CHUTES_API_URL",
                next_step=_CORRECT_URL,
            ) from error
        except requests.exceptions.InvalidHeader:
            # Not the error's own words: they quote it.
            raise ConfigurationError(
                f"no request can carry {self._credentials.source}", next_step="look for line breaks and such in it"
            ) from None
        except requests.RequestException as error:
            raise self._broken_off(what, path, error) from error
        return answer

    def _value(self, answer: requests.Response, what: str) -> dict[str, Any]:
        try:
            value = answer.json()
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        path = answer.request.path_url
        raise self._unexpected(what, path, error_responses.detail(answer.text, self._credentials.secrets))

    def _refused(self, answer: requests.Response, what: str) -> PlatformRefused:
        status = answer.status_code
        return PlatformRefused(
            f"{what}: the platform answered {status}",
            status=status,
            where=f"{answer.request.method} {self.url}{answer.request.path_url.partition('?')[0]}",
            evidence=error_responses.detail(answer.text, self._credentials.secrets),
            next_step=error_responses.next_step(status, self._credentials.source),
        )

    def _unexpected(self, what: str, path: str, said: str) -> WrapperError:
        return WrapperError(
            f"{what}: the answer is not the platform's",
            where=f"{self.url}{path.partition('?')[0]}",
            evidence=said,
            next_step=error_responses.next_step(200, self._credentials.source),
        )

    def _broken_off(self, what: str, path: str, error: requests.RequestException) -> PlatformUnreachable:
        return PlatformUnreachable(
            f"{what}: the platform does not answer",
            where=f"{self.url}{path}",
            evidence=error_responses.detail(f"{type(error).__name__}: {error}", self._credentials.secrets),
            next_step=f"check the network and the address; {TIMEOUT_VARIABLE} sets how many seconds are waited [30]",
        )


def connect(credentials: Credentials | None = None) -> PlatformApi:
    """The platform's API, asked in the name of ``credentials``; by default the account of the SDK's configuration."""
    return PlatformApi(api_url(), credentials or account(), timeout_s=request_timeout_s())


def api_url(configuration: str | None = None) -> str:
    """The platform's API as the SDK finds it: ``configuration``, by default its file, else ``CHUTES_API_URL``, else the public one."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if configuration is None:
            parser.read(config_file(), encoding="utf-8")
        else:
            parser.read_string(configuration)
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the Chutes configuration cannot be read",
            where=str(config_file()),
            evidence=type(error).__name__,
            next_step=f"correct it, or set the account up again: {NAMES.account}",
        ) from None
    url = parser.get("api", "base_url", fallback="") or os.environ.get("CHUTES_API_URL") or _DEFAULT_URL
    try:
        urlsplit(url)
    except ValueError:
        raise ConfigurationError(
            f"the API's address {url!r} is none", where=f"{config_file()}, CHUTES_API_URL", next_step=_CORRECT_URL
        ) from None
    return url.rstrip("/")


def chute_url(name: str, key: str) -> str:
    """Where the deployed chute ``name`` is called. WrapperError says why the platform does not tell."""
    what = f"asking for the chute {name!r}"
    with connect(KeyCredentials(key=key)) as api:
        chute = api.find(f"/chutes/{quote(name, safe='')}", what, purpose="chutes")
    if chute is None:
        raise WrapperError(
            f"{what}: the platform knows of none", next_step="deploy it first (--deploy), or name the chute with --url"
        )
    return host_of(chute, api.url)


def host_of(chute: Mapping[str, Any], url: str) -> str:
    """Where a chute is called that the API at ``url`` tells of: below the platform's domain, or at an emulator's port."""
    slug = chute.get("slug")
    if not isinstance(slug, str) or not slug:
        raise WrapperError(
            f"the platform names no host for the chute {chute.get('name')!r}", next_step="name it with --url"
        )
    address = urlsplit(url)
    if address.hostname in _LOOPBACK:
        return f"http://{slug}.localhost:{address.port or 80}"
    return _CHUTE_HOST.format(slug=slug)


def request_timeout_s() -> float:
    """How many seconds one request may take: ``CHUTES_API_TIMEOUT``, else 30."""
    text = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else _TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{TIMEOUT_VARIABLE} is {text!r}", next_step="set it to seconds, such as 30")
    return seconds
