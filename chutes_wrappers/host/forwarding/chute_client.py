"""The client of a chute's public paths, with the API key and retries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from yarl import URL

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.platform_checks import find_size_problem
from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S, INVOCATION_HEADER
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, get_key_path, read_api_key, require_api_key
from chutes_wrappers.host.async_sessions import AsyncSession
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.host.http_sessions import find_proxy, is_local_host
from chutes_wrappers.host.platform_api.error_responses import mask_secret_bytes
from chutes_wrappers.runtime.client_sessions import describe_unreadable

_BUSY_TIMEOUT_S = 600.0
_CONNECT_TIMEOUT_S = 30.0
# The platform's own error is better than ours.
_READ_MARGIN_S = 10.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_READ_BUFFER_BYTES = 4 * 1024**2
_TOO_MANY_REQUESTS = 429
_LARGEST_ERROR_BYTES = 64 * 1024
_LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True)
class ChuteAddress:
    """The URL of a chute, and the platform's API key for it."""

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where only a chute of the emulator gets the key."""
        return is_local_host(URL(self.url).host or "")

    @property
    def is_emulated(self) -> bool:
        """Whether it is a chute of the emulator, which requires a key."""
        return (URL(self.url).host or "").endswith(".localhost")


def parse_chute_address(url: str, key: str | None) -> ChuteAddress:
    """Parse the URL of a chute from the command line.

    On this machine the key is sent to a name below localhost only: a chute of the emulator, which requires it. Raises
    ConfigurationError for an invalid URL, or when the key would be sent unencrypted.
    """
    try:
        parsed = URL(url.rstrip("/"))
    except ValueError as error:
        raise _build_url_error(url) from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query_string or parsed.user:
        raise _build_url_error(url)
    address = ChuteAddress(url=str(parsed), key=key)
    if address.is_local:
        return address if address.is_emulated else replace(address, key=None)
    if key and parsed.scheme == "http":
        raise ConfigurationError(f"{url} would send your API key unencrypted", next_step="use https")
    return address


def resolve_chute_address(url: str) -> ChuteAddress:
    """Return the address for a URL of the command line, with the user's key where one is needed.

    Raises ConfigurationError as ``parse_chute_address``, and when there is no key.
    """
    address = parse_chute_address(url, read_api_key())
    if address.key is None and address.is_emulated:
        raise ConfigurationError(
            f"{address.url} is a chute of an emulator, which requires an API key",
            where=f"{KEY_VARIABLE}, {get_key_path()}",
            next_step=f"set {KEY_VARIABLE} to the key in the curl command that the emulator printed",
        )
    if address.key is None and not address.is_local:
        require_api_key()
    return address


def parse_deployed_address(url: str, key: str) -> ChuteAddress:
    """Parse the URL of a deployed chute. One of the emulator is on this machine, but requires the key, too."""
    return replace(parse_chute_address(url, key), key=key)


def _build_url_error(url: str) -> ConfigurationError:
    return ConfigurationError(f"{url!r} is not a valid chute URL", next_step="use one like https://user-name.chutes.ai")


@dataclass(frozen=True, kw_only=True)
class PublicCall:
    """A call of a public path. ``pieces`` yields its JSON body of ``length`` bytes, again for each attempt."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    pieces: Callable[[], AsyncIterator[bytes]] | None = None
    length: int = 0


def read_invocation_id(response: aiohttp.ClientResponse) -> str:
    """Return the platform's name of a call, from its response; empty when the server sends none."""
    return clean_text(response.headers.get(INVOCATION_HEADER))


class Chute:
    """A deployed chute. A context manager; its calls belong to one event loop. ``report`` gets warnings about a call."""

    def __init__(
        self,
        address: ChuteAddress,
        *,
        busy_timeout_s: float = _BUSY_TIMEOUT_S,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._address = address
        self._busy_timeout_s = busy_timeout_s
        self._report = report
        self._session: AsyncSession | None = None

    async def __aenter__(self) -> Chute:
        find_proxy(self._address.url)  # an invalid one ends the start, not each call
        self._session = AsyncSession(
            has_proxies=True,
            read_bufsize=_READ_BUFFER_BYTES,
            headers=self._build_headers(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_read=API_CALL_LIMIT_S + _READ_MARGIN_S, sock_connect=_CONNECT_TIMEOUT_S
            ),
        )
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._session is not None
        await self._session.close()

    @contextlib.asynccontextmanager
    async def call(self, call: PublicCall) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a call and yield the platform's response. Only a 429 is retried: no free instance, or the service starts.

        Raises ForwardingError when the chute cannot be reached, or returns 429 for ten minutes.
        """
        if concern := find_size_problem(call.length):
            self._report(f"{call.method} {call.path}: {concern}")
        deadline = asyncio.get_running_loop().time() + self._busy_timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            async with self._send(call) as response:
                if response.status != _TOO_MANY_REQUESTS:
                    yield response
                    return
                invocation_id = read_invocation_id(response)
                text = (await self.read_error(response)).decode("utf-8", "replace")[:_LONGEST_REASON]
            if asyncio.get_running_loop().time() + pause_s > deadline:
                name = f" ({INVOCATION_HEADER}: {invocation_id})" if invocation_id else ""
                raise ForwardingError(
                    _TOO_MANY_REQUESTS, f"the chute was busy for {self._busy_timeout_s:g} s: {text}{name}"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def read_error(self, response: aiohttp.ClientResponse, limit_bytes: int = _LARGEST_ERROR_BYTES) -> bytes:
        """Read the beginning of an error's body, at most ``limit_bytes``. The API key is masked: a server may quote it."""
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) >= limit_bytes:
                break
        return mask_secret_bytes(bytes(body[:limit_bytes]), self._address.key)

    @contextlib.asynccontextmanager
    async def _send(self, call: PublicCall) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        body: Mapping[str, Any] = {}
        if call.pieces is not None:
            headers = {"Content-Type": "application/json", "Content-Length": str(call.length)}
            body = {"data": call.pieces(), "headers": headers}
        url = URL(self._address.url + call.path).with_query(list(call.query))
        try:
            async with self._session.request(call.method, url, **body) as response:
                yield response
        except aiohttp.ConnectionTimeoutError as error:
            raise ForwardingError(
                502, f"{self._address.url} cannot be reached: no connection within {_CONNECT_TIMEOUT_S:g} s"
            ) from error
        except asyncio.TimeoutError as error:
            raise ForwardingError(
                504, f"no data within {API_CALL_LIMIT_S:g} s, after which the platform ends a call"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            if type(error) is aiohttp.ClientResponseError:  # not that of a proxy, which is a subclass
                raise ForwardingError(
                    502, f"the response of {self._address.url} cannot be read: {describe_unreadable(error)}"
                ) from error
            raise ForwardingError(
                502, f"{self._address.url} cannot be reached, or closed the connection early: {error}"
            ) from error

    def _build_headers(self) -> dict[str, str]:
        # A compressed response would not have the length in its head.
        headers = {"Accept-Encoding": "identity"}
        if self._address.key:
            headers["Authorization"] = f"Bearer {self._address.key}"
        return headers
