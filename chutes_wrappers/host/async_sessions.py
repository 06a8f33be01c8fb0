"""HTTP sessions of aiohttp, with the rules of ``http_sessions``. No other module of the host creates such a session."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from urllib3.util import make_headers
from yarl import URL

from chutes_wrappers.host.http_sessions import check_login, find_proxy, pin_local_name
from chutes_wrappers.runtime.client_sessions import open_client_session
from chutes_wrappers.runtime.connection_pool import make_connector


class AsyncSession:
    """A session without netrc, cookies, redirects and a limit of connections. It sends no login unencrypted.

    A context manager; it belongs to the event loop in which it is created. With ``has_proxies`` the proxies of the environment
    are used, for hosts in the network. ``is_shared``: connections are kept. ``options`` are those of aiohttp.ClientSession.
    Limits: ``runtime/client_sessions.py``.
    """

    def __init__(
        self,
        *,
        has_proxies: bool = False,
        is_shared: bool = True,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._has_proxies = has_proxies
        self._headers = dict(headers or {})
        self._session = open_client_session(make_connector(is_shared=is_shared), **options)

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Running requests fail."""
        await self._session.close()

    def request(
        self, method: str, url: URL, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request when the context begins, and yield its response. ``options`` are those of aiohttp.

        Raises ConfigurationError as ``check_login`` and ``find_proxy`` do.
        """
        all_headers = {**self._headers, **(headers or {})}
        check_login(str(url), all_headers)
        if self._has_proxies and (proxy := find_proxy(str(url))):
            # Not in the URL: aiohttp's errors quote it.
            proxy_url = URL(proxy)
            login = _build_proxy_login(proxy_url)
            options["proxy"] = proxy_url.with_user(None)
            if url.scheme == "https":
                options["proxy_headers"] = login
            else:
                all_headers.update(login)
        pinned_url, host = pin_local_name(str(url))
        if host is not None:
            url, all_headers = URL(pinned_url, encoded=True), {"Host": host, **all_headers}
        return self._session.request(method, url, headers=all_headers, allow_redirects=False, **options)


def _build_proxy_login(proxy: URL) -> dict[str, str]:
    return {} if proxy.user is None else make_headers(proxy_basic_auth=f"{proxy.user}:{proxy.password or ''}")
