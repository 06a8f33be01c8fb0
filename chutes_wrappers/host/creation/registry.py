"""Facts about an image from its registry, without a pull (OCI distribution specification 1.1)."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.utils import parse_dict_header

from chutes_wrappers.core.errors import UnsupportedImage, WrapperError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM
from chutes_wrappers.host.creation.image_config import ImageFacts, parse_image_facts
from chutes_wrappers.host.creation.reference import Reference
from chutes_wrappers.host.creation.registry_login import Login, read_login
from chutes_wrappers.host.http_sessions import HostSession, can_carry_login, is_local_host
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.http_adapters import DeadlineAdapter

_TOTAL_TIMEOUT_S = 60.0
_REQUEST_TIMEOUT_S = 20.0
_MAX_BODY_BYTES = 4 * 1024**2
_CHUNK_BYTES = 64 * 1024
_MAX_REDIRECTS = 5
_INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_DIGEST = re.compile(r"[A-Za-z0-9+._-]+:[A-Za-z0-9=_-]+\Z")
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)(?:\s+|\Z)", re.IGNORECASE)
_LOGIN_HINT = "log in with `docker login`, or check the image's name and tag"
_NETWORK_HINT = "check the registry's name and the network"
_BROKEN_LOGIN_HINT = "fix Docker's login (the reason is above), or pull the image with docker"
_DIGEST_HINT = "do not use this image: the registry, or a host that it redirects to, changed its content"


class RegistryUnavailable(WrapperError):
    """The registry returned no usable description: it is unreachable, denies access, has no such image, or its response is invalid."""


def fetch_image_facts(reference: Reference) -> ImageFacts:
    """Return the facts about the image for linux/amd64. Logins of ``docker login`` are used. It takes at most 60 s.

    Raises UnsupportedImage for an image of other platforms only, RegistryUnavailable when the registry returns no usable
    description, MalformedDescription for an invalid description.
    """
    adapter = DeadlineAdapter()
    with HostSession(adapter) as session:
        registry = _Registry(session, reference)
        timer = threading.Timer(_TOTAL_TIMEOUT_S, adapter.end)
        timer.daemon = True
        timer.start()
        try:
            return registry.fetch_image()
        finally:
            timer.cancel()


@dataclass(frozen=True, kw_only=True)
class _Response:
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    is_of_registry: bool


class _Registry:
    """One repository of a registry; ``_authorization`` is the header to send, once the registry has requested one.

    The registry alone gets it, and alone can request it. Whatever a redirect leads to does neither: a host that could request a
    login could name its own URL for it (CVE-2020-15157).
    """

    def __init__(self, session: HostSession, reference: Reference) -> None:
        from docker.auth import INDEX_NAME

        self._session = session
        self._reference = reference
        host = reference.host
        # The registry of Docker's index has another host name.
        registry_host = f"registry-1.{host}" if host == INDEX_NAME else host
        scheme = "http" if is_local_host(urlsplit(f"//{host}").hostname or "") else "https"
        self._is_local = scheme == "http"
        self._root = f"{scheme}://{registry_host}/v2/{reference.name}/"
        self._authorization: str | None = None
        self._login_problem = ""
        self._deadline = time.monotonic() + _TOTAL_TIMEOUT_S

    def fetch_image(self) -> ImageFacts:
        manifest = self._fetch_json(f"manifests/{self._reference.version}", (*_INDEX_TYPES, *_MANIFEST_TYPES))
        if isinstance(manifest.get("manifests"), list):
            entry = _select_platform_entry(manifest["manifests"], self._reference.text)
            manifest = self._fetch_json(f"manifests/{self._read_digest(entry)}", _MANIFEST_TYPES)
        config, layers = manifest.get("config"), manifest.get("layers")
        if not isinstance(config, Mapping) or not isinstance(layers, list):
            raise self._build_error("the format of its image manifest is unknown", "")
        image_config = self._fetch_json(f"blobs/{self._read_digest(config)}", ("*/*",))
        attributes = {
            "Os": image_config.get("os") or "linux",
            "Architecture": image_config.get("architecture") or "amd64",
            "Config": image_config.get("config"),
        }
        sizes = (layer.get("size") for layer in layers if isinstance(layer, Mapping))
        return parse_image_facts(self._reference.text, attributes, sum(size for size in sizes if isinstance(size, int)))

    def _read_digest(self, descriptor: Mapping[str, Any]) -> str:
        digest = descriptor.get("digest")
        if not isinstance(digest, str) or not _DIGEST.match(digest):
            raise self._build_error("its image manifest has a part without a valid digest", "")
        return digest

    def _fetch_json(self, path: str, accepted_types: tuple[str, ...]) -> dict[str, Any]:
        response = self._get(path, accepted_types)
        if response.status == requests.codes.unauthorized and response.is_of_registry:
            self._log_in(response.headers.get("WWW-Authenticate", ""))
            response = self._get(path, accepted_types)
        if response.status == requests.codes.unauthorized and not response.is_of_registry:
            raise self._build_error("it redirects to another host, which requires a login", "")
        if response.status != requests.codes.ok:
            raise self._build_error(
                f"it returned status {response.status}", error_responses.format_detail(response.reason)
            )
        version = path.rpartition("/")[2]
        if not _has_digest(response.body, version):
            raise self._build_error(f"its response does not have the digest {version}", "", _DIGEST_HINT)
        value = _parse_object(response.body)
        if value is None:
            raise self._build_error("the response is not from an OCI registry", "")
        return value

    def _get(self, path: str, accepted_types: tuple[str, ...]) -> _Response:
        """Return the response for ``path``, after redirects."""
        url, is_of_registry = f"{self._root}{path}", True
        for _ in range(_MAX_REDIRECTS):
            headers = {"Accept": ", ".join(accepted_types)}
            if self._authorization and is_of_registry:
                headers["Authorization"] = self._authorization
            response = self._request("GET", url, headers=headers)
            location = response.headers.get("Location")
            if response.status // 100 != 3 or not location:
                return replace(response, is_of_registry=is_of_registry)
            url = self._resolve_redirect(url, location)
            is_of_registry = is_of_registry and urlsplit(url)[:2] == urlsplit(self._root)[:2]
        raise self._build_error(f"it redirects more than {_MAX_REDIRECTS} times", "")

    def _resolve_redirect(self, url: str, location: str) -> str:
        """Return the URL that a redirect from ``url`` leads to: not from https to http, nor from the network to this machine."""
        try:
            target = _normalize_url(urljoin(url, location))
            scheme, host = urlsplit(target).scheme, urlsplit(target).hostname or ""
        except ValueError as error:
            raise self._build_error("it redirects to an invalid URL", "") from error
        if scheme != "https" and (scheme != "http" or url.startswith("https:")):
            raise self._build_error(
                f"it redirects from {urlsplit(url).scheme} to {scheme or 'no scheme'}",
                error_responses.format_detail(host),
            )
        if is_local_host(host) and not self._is_local:
            raise self._build_error("it redirects to this machine", error_responses.format_detail(host))
        return target

    def _request(self, method: str, url: str, **options: Any) -> _Response:
        try:
            timeout_s = min(_REQUEST_TIMEOUT_S, self._check_time_left())
            with self._session.request(method, url, timeout=timeout_s, stream=True, **options) as response:
                return _Response(
                    status=response.status_code,
                    reason=response.reason or "",
                    headers=response.headers,
                    body=self._read_body(response),
                    is_of_registry=False,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._check_time_left()
            raise self._build_error("it cannot be reached", type(error).__name__, _NETWORK_HINT) from error

    def _read_body(self, response: requests.Response) -> bytes:
        body = b""
        # read1 (urllib3 2) returns the bytes received so far; read blocks until a chunk is complete, even if it is slow.
        read = getattr(response.raw, "read1", response.raw.read)
        while chunk := read(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise self._build_error(f"its response is longer than {_MAX_BODY_BYTES // 1024**2} MiB", "")
            self._check_time_left()
        self._check_time_left()  # at the deadline the body ends early
        return body

    def _check_time_left(self) -> float:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise self._build_error(f"it did not complete its responses within {_TOTAL_TIMEOUT_S:.0f} s", "")
        return left_s

    def _log_in(self, challenge_header: str) -> None:
        """Set the authorization for the next request: a token from the registry's token service, else the password."""
        saved_login = read_login(self._reference.host)
        self._login_problem = saved_login.problem
        challenges = _parse_challenges(challenge_header)
        if bearer := challenges.get("bearer"):
            self._authorization = self._fetch_token(bearer, saved_login)
        elif "basic" in challenges and saved_login.credentials:
            request = requests.Request("GET", self._root, auth=saved_login.credentials).prepare()
            self._authorization = request.headers["Authorization"]

    def _fetch_token(self, bearer: Mapping[str, str | None], saved_login: Login) -> str | None:
        token_scope = {
            "service": bearer.get("service") or "",
            "scope": bearer.get("scope") or f"repository:{self._reference.name}:pull",
        }
        realm = self._check_realm(str(bearer.get("realm")))
        if saved_login.token:  # OAuth 2 of the distribution specification: an identity token is a refresh token
            grant = {"grant_type": "refresh_token", "client_id": "chutes-wrappers", "refresh_token": saved_login.token}
            response = self._request("POST", realm, data={**grant, **token_scope})
        else:
            response = self._request("GET", realm, params=token_scope, auth=saved_login.credentials)
        reply = (_parse_object(response.body) if response.status == requests.codes.ok else None) or {}
        token = reply.get("token") or reply.get("access_token")
        return f"Bearer {token}" if isinstance(token, str) and _TOKEN.match(token) else None

    def _check_realm(self, realm: str) -> str:
        """Return the URL of the token service: of any host, as the registry says, but by https, or local as the registry is."""
        try:
            url = _normalize_url(realm)
            host = urlsplit(url).hostname or ""
            is_safe = host and can_carry_login(url) and (self._is_local or not is_local_host(host))
        except ValueError:
            is_safe = False
        if not is_safe:
            reason = "it names a token service that is not an https URL of the network"
            raise self._build_error(reason, error_responses.format_detail(realm))
        return url

    def _build_error(self, reason: str, evidence: str, next_step: str = _LOGIN_HINT) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"cannot read {self._reference.name} from the registry {self._reference.host}: {reason}",
            evidence="; ".join(filter(None, (evidence, self._login_problem))),
            next_step=_BROKEN_LOGIN_HINT if self._login_problem else next_step,
        )


def _normalize_url(url: str) -> str:
    r"""Return the URL as requests sends it, so that a check reads the same host: in ``http://a\@b``, urlsplit reads another.

    Raises ValueError for an invalid URL.
    """
    return requests.Request("GET", url).prepare().url or ""


def _has_digest(body: bytes, version: str) -> bool:
    """Return whether ``body`` has the digest ``version``; True for a tag, and for an algorithm that is not registered (OCI image spec)."""
    algorithm, _, value = version.partition(":")
    return algorithm not in ("sha256", "sha512") or not value or hashlib.new(algorithm, body).hexdigest() == value


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _parse_challenges(header: str) -> dict[str, dict[str, str | None]]:
    """Return the challenges of a WWW-Authenticate header: "basic" or "bearer" → its parameters."""
    _, *parts = _CHALLENGE.split(header)
    # requests has no types for parse_dict_header.
    return {kind.lower(): parse_dict_header(rest) for kind, rest in zip(parts[::2], parts[1::2], strict=True)}  # type: ignore[no-untyped-call]


def _select_platform_entry(entries: list[Any], reference: str) -> Mapping[str, Any]:
    """Return the entry for linux/amd64, preferably without a variant.

    Without such an entry, return the first entry without a platform: its config contains the platform. Raises
    UnsupportedImage when there is neither.
    """
    valid_entries = [entry for entry in entries if isinstance(entry, Mapping)]
    platforms = [(_read_platform(entry), entry) for entry in valid_entries]
    matches = sorted((pair for pair in platforms if pair[0][0] == IMAGE_PLATFORM), key=lambda pair: pair[0][1])
    if matches:
        return matches[0][1]
    platform_names = sorted({name for (name, _), _ in platforms if name} - {"unknown/unknown"})
    if without_platform := [entry for (name, _), entry in platforms if not name]:
        return without_platform[0]
    problem = UnsupportedImage(
        f"it is built for {error_responses.format_detail(', '.join(platform_names)) or 'no platform'}; Chutes runs {IMAGE_PLATFORM}",
        where=reference,
        next_step=f"build it for {IMAGE_PLATFORM} too, and push it",
    )
    if not valid_entries:
        raise problem
    refuse("image-platform", problem)
    return valid_entries[0]


def _read_platform(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return ("linux/amd64", variant) of an entry of an index; empty where it has no platform."""
    platform = entry.get("platform")
    if not isinstance(platform, Mapping):
        return "", ""
    return f"{platform.get('os')}/{platform.get('architecture')}", str(platform.get("variant") or "")
