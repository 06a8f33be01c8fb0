"""The URLs of the API and of the chutes of one API."""

from __future__ import annotations

import configparser
import contextlib
import os
from urllib.parse import urlsplit

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.files import read_small_file
from chutes_wrappers.core.platform_rules import SLUG
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.http_sessions import can_carry_login, is_local_host
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.sdk.username import get_config_path

_DEFAULT_URL = "https://api.chutes.ai"


class InvalidApiUrl(ConfigurationError):
    """The URL of the API is invalid, or not one that a login may be sent to."""


def resolve_api_url(config_text: str | None = None) -> str:
    """Return the API's URL as the SDK does: from the configuration, else ``CHUTES_API_URL``, else the public one.

    ``config_text`` is the content of the SDK's configuration; by default its file is read. Raises InvalidApiUrl for a URL
    that is invalid, has a password, or would get the account's login unencrypted.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if config_text is None:
            with contextlib.suppress(OSError):  # without a readable file, as the SDK
                parser.read_string(read_small_file(get_config_path()).decode("utf-8"))
        else:
            parser.read_string(config_text)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the Chutes configuration cannot be read",
            where=str(get_config_path()),
            evidence=type(error).__name__,
            next_step=f"correct it, or set up the account again: {NAMES.account}",
        ) from None
    if url := parser.get("api", "base_url", fallback=""):
        return _check_url(url, f"base_url in [api] of {get_config_path()}")
    return _check_url(os.environ.get("CHUTES_API_URL") or _DEFAULT_URL, "CHUTES_API_URL")


def _check_url(url: str, field: str) -> str:
    """Return the API's URL without a slash at its end; ``field`` is where the user set it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise build_url_error(url) from None
    if "@" in parts.netloc:
        raise InvalidApiUrl(
            "the URL of the API contains a user name or a password",
            where=field,
            next_step="remove it: requests are signed with the account",
        )
    if parts.scheme == "http" and not can_carry_login(url):
        raise InvalidApiUrl(
            f"{url} would get the account's login unencrypted",
            where=field,
            next_step="set an https URL, or one of this machine, such as http://127.0.0.1:8000",
        )
    return url.rstrip("/")


def build_url_error(url: str) -> InvalidApiUrl:
    """Return the error for a ``url`` of the API that cannot be requested."""
    return InvalidApiUrl(
        f"invalid API URL: {url!r}",
        where=f"{get_config_path()}, CHUTES_API_URL",
        next_step="set base_url in [api], or CHUTES_API_URL when the file has no base_url, to https://api.chutes.ai",
    )


def build_chute_url(chute: ChuteInfo, api_url: str) -> str:
    """Build the URL of a ``chute`` of the API at ``api_url``: in the API's domain, or at an emulator's port.

    A chute of ``api.chutes.ai`` is at ``SLUG.chutes.ai``. The API key is sent to that host, so it stays in the domain of its API.
    Raises WrapperError when the slug is not one label of a host name.
    """
    if not SLUG.match(chute.slug):
        raise WrapperError(
            f"the platform returned no valid host for the chute {chute.name!r}",
            evidence=f"slug: {chute.slug!r}",
            next_step="pass its URL with --url",
        )
    address = urlsplit(api_url)
    if is_local_host(address.hostname or ""):
        return f"http://{chute.slug}.localhost:{address.port or 80}"
    host = address.hostname or ""
    domain = host.removeprefix("api.")
    # Below api.example alone: anyone may own SLUG.example.
    return f"https://{chute.slug}.{domain if '.' in domain else host}"


def find_chute_url(chute: ChuteInfo, api_url: str) -> str | None:
    """Return what ``build_chute_url`` does, or None when the platform returned no valid host: for a command that does not call it."""
    try:
        return build_chute_url(chute, api_url)
    except WrapperError:
        return None
