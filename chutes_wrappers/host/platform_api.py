"""What the Chutes API knows, asked with an API key."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.sdk.account import config_file

KEY_VARIABLE = "CHUTES_API_KEY"
_DEFAULT_URL = "https://api.chutes.ai"
_CHUTE_HOST = "https://{slug}.chutes.ai"
_TIMEOUT_S = 30.0
_LONGEST_QUOTE = 300


def key_file() -> Path:
    """Where an API key is kept, unless ``CHUTES_API_KEY`` holds it."""
    return Path.home() / ".chutes" / "api_key"


def api_key() -> str | None:
    """The API key: ``CHUTES_API_KEY``, else ``~/.chutes/api_key``; None without one."""
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        return key
    try:
        return key_file().read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("the API key cannot be read", where=str(key_file()), evidence=str(error)) from error


def required_key() -> str:
    """The API key; ConfigurationError says how to get one when there is none."""
    if key := api_key():
        return key
    raise ConfigurationError(
        "no API key is known",
        where=f"{KEY_VARIABLE}, {key_file()}",
        next_step="run `chutes keys create --name forward --admin`, and put the secret key into either",
    )


def api_url() -> str:
    """The platform's API as the SDK finds it: its configuration file, else ``CHUTES_API_URL``, else the public one."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(config_file(), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the Chutes configuration cannot be read", where=str(config_file()), evidence=type(error).__name__
        ) from error
    url = parser.get("api", "base_url", fallback="") or os.environ.get("CHUTES_API_URL") or _DEFAULT_URL
    return url.rstrip("/")


def chute_url(name: str, key: str) -> str:
    """Where the deployed chute ``name`` is called. WrapperError says why the platform does not tell."""
    chute = _get(f"/chutes/{quote(name, safe='')}", key, f"the chute {name!r}")
    slug = chute.get("slug")
    if not isinstance(slug, str) or not slug:
        raise WrapperError(f"the platform names no host for the chute {name!r}", next_step="name it with --url")
    return _CHUTE_HOST.format(slug=slug)


def _get(path: str, key: str, what: str) -> dict[str, Any]:
    url = f"{api_url()}{path}"
    try:
        answer = requests.get(
            url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S, allow_redirects=False
        )
        value = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError) as error:
        raise WrapperError(
            "the platform cannot be asked", where=url, evidence=f"{type(error).__name__}: {error}"
        ) from error
    if isinstance(value, dict):
        return value
    raise WrapperError(
        f"the platform does not tell about {what}: it answered {answer.status_code}",
        where=url,
        evidence=answer.text[:_LONGEST_QUOTE],
        next_step={
            401: f"check the API key in {KEY_VARIABLE} or {key_file()}",
            403: f"check that the API key in {KEY_VARIABLE} or {key_file()} may read chutes",
            404: "deploy it first (`chutes deploy`), or name the chute with --url",
        }.get(answer.status_code, "try again, or name the chute with --url"),
    )
