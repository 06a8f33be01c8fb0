"""What a registry tells of an image, without a pull (OCI distribution specification 1.1)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.utils import parse_dict_header

from chutes_wrappers.core.errors import UnsupportedImage, WrapperError
from chutes_wrappers.host.creation.image_config import ImageFacts, facts
from chutes_wrappers.host.creation.reference import Reference
from chutes_wrappers.host.creation.registry_login import Login, login
from chutes_wrappers.host.platform_api import error_responses

_LONGEST_S = 60.0
_TIMEOUT_S = 20.0
_LONGEST_BYTES = 4 * 1024**2
_PIECE_BYTES = 64 * 1024
_MOST_REDIRECTS = 5
_LISTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_DIGEST = re.compile(r"[A-Za-z0-9+._-]+:[A-Za-z0-9=_-]+\Z")
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)(?:\s+|\Z)", re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_REFUSED = "log in with `docker login`, or check the image's name and tag"
_UNREACHED = "check the registry's name, and the network"
_BROKEN_LOGIN = "mend what is said of Docker's own login, or pull the image with docker"
_OURS = "linux/amd64"


class RegistryUnavailable(WrapperError):
    """The registry does not tell: it cannot be reached, refuses, has no such image, or answers what cannot be understood."""


def look_up(reference: Reference) -> ImageFacts:
    """What the image for linux/amd64 says of itself, asked with what ``docker login`` keeps; it takes a minute at most.

    Raises UnsupportedImage for an image of other platforms only, RegistryUnavailable when the registry does not tell,
    MalformedDescription for what no image can say.
    """
    with _Session() as session:
        # Without one, requests takes ~/.netrc's password for the host, and sends it instead of the registry's token.
        session.auth = _unchanged
        return _Registry(session, reference).image()


class _Session(requests.Session):
    """Follows no redirect: before it does, requests reads the whole body of the answer that redirects, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class _Registry:
    """One repository of a registry; ``_authorization`` is what the registry lets us in with, once it has asked for it."""

    def __init__(self, session: requests.Session, reference: Reference) -> None:
        from docker.auth import INDEX_NAME

        self._session = session
        self._reference = reference
        host = reference.host
        # Docker's own index names a registry that is served beside it.
        served = f"registry-1.{host}" if host == INDEX_NAME else host
        scheme = "http" if urlsplit(f"//{host}").hostname in _LOOPBACK else "https"
        self._root = f"{scheme}://{served}/v2/{reference.name}/"
        self._authorization: str | None = None
        self._problem = ""
        self._give_up_at = time.monotonic() + _LONGEST_S

    def image(self) -> ImageFacts:
        manifest = self._json(f"manifests/{self._reference.version}", (*_LISTS, *_MANIFESTS))
        if isinstance(manifest.get("manifests"), list):
            chosen = _for_our_platform(manifest["manifests"], self._reference.text)
            manifest = self._json(f"manifests/{self._digest(chosen)}", _MANIFESTS)
        config, layers = manifest.get("config"), manifest.get("layers")
        if not isinstance(config, Mapping) or not isinstance(layers, list):
            raise self._unavailable("it describes the image in a way that is not known here", "")
        told = self._json(f"blobs/{self._digest(config)}", ("*/*",))
        attributes = {
            "Os": told.get("os") or "linux",
            "Architecture": told.get("architecture") or "amd64",
            "Config": told.get("config"),
        }
        sizes = (layer.get("size") for layer in layers if isinstance(layer, Mapping))
        return facts(self._reference.text, attributes, sum(size for size in sizes if isinstance(size, int)))

    def _digest(self, descriptor: Mapping[str, Any]) -> str:
        digest = descriptor.get("digest")
        if not isinstance(digest, str) or not _DIGEST.match(digest):
            raise self._unavailable("it names a part of the image by no digest", "")
        return digest

    def _json(self, path: str, accepted: tuple[str, ...]) -> dict[str, Any]:
        answer = self._get(path, accepted)
        if answer.status == requests.codes.unauthorized:
            self._log_in(answer.headers.get("WWW-Authenticate", ""))
            answer = self._get(path, accepted)
        if answer.status != requests.codes.ok:
            raise self._unavailable(f"it answers {answer.status}", error_responses.detail(answer.reason))
        value = _object(answer.body)
        if value is None:
            raise self._unavailable("its answer is none of a registry", "")
        return value

    def _get(self, path: str, accepted: tuple[str, ...]) -> _Answer:
        """The answer at ``path``, which may be elsewhere: nothing of our login goes to another host."""
        url = f"{self._root}{path}"
        for _ in range(_MOST_REDIRECTS):
            headers = {"Accept": ", ".join(accepted)}
            if self._authorization and urlsplit(url)[:2] == urlsplit(self._root)[:2]:
                headers["Authorization"] = self._authorization
            answer = self._ask("GET", url, headers=headers)
            location = answer.headers.get("Location")
            if answer.status // 100 != 3 or not location:
                return answer
            try:
                url = urljoin(url, location)
            except ValueError as error:
                raise self._unavailable("it redirects to no address", "") from error
        raise self._unavailable(f"it redirects more than {_MOST_REDIRECTS} times", "")

    def _ask(self, method: str, url: str, **options: Any) -> _Answer:
        try:
            timeout_s = min(_TIMEOUT_S, self._seconds_left())
            with self._session.request(method, url, timeout=timeout_s, stream=True, **options) as answer:
                return _Answer(
                    status=answer.status_code,
                    reason=answer.reason or "",
                    headers=answer.headers,
                    body=self._body(answer),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unavailable("it cannot be reached", type(error).__name__, _UNREACHED) from error

    def _body(self, answer: requests.Response) -> bytes:
        body = b""
        # read1 (urllib3 2) returns what has come; read waits for a whole piece, however slowly it drips.
        read = getattr(answer.raw, "read1", answer.raw.read)
        while piece := read(_PIECE_BYTES, decode_content=True):
            body += piece
            if len(body) > _LONGEST_BYTES:
                raise self._unavailable(f"its answer is longer than {_LONGEST_BYTES // 1024**2} MiB", "")
            self._seconds_left()
        return body

    def _seconds_left(self) -> float:
        left_s = self._give_up_at - time.monotonic()
        if left_s <= 0:
            raise self._unavailable(f"it has not answered in {_LONGEST_S:.0f} s", "")
        return left_s

    def _log_in(self, asked: str) -> None:
        """Get what the next request is allowed with: a token of the service that the registry names, else our password."""
        known = login(self._reference.host)
        self._problem = known.problem
        challenges = _challenges(asked)
        if bearer := challenges.get("bearer"):
            self._authorization = self._token(bearer, known)
        elif "basic" in challenges and known.pair:
            request = requests.Request("GET", self._root, auth=known.pair).prepare()
            self._authorization = request.headers["Authorization"]

    def _token(self, bearer: Mapping[str, str | None], known: Login) -> str | None:
        wanted = {
            "service": bearer.get("service") or "",
            "scope": bearer.get("scope") or f"repository:{self._reference.name}:pull",
        }
        realm = str(bearer.get("realm"))
        if known.token:  # the registry's kind of OAuth 2: an identity token is a refresh token
            refreshing = {"grant_type": "refresh_token", "client_id": "chutes-wrappers", "refresh_token": known.token}
            answer = self._ask("POST", realm, data={**refreshing, **wanted})
        else:
            answer = self._ask("GET", realm, params=wanted, auth=known.pair)
        told = (_object(answer.body) if answer.status == requests.codes.ok else None) or {}
        token = told.get("token") or told.get("access_token")
        return f"Bearer {token}" if isinstance(token, str) and _TOKEN.match(token) else None

    def _unavailable(self, why: str, evidence: str, next_step: str = _REFUSED) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"the registry {self._reference.host} does not tell about {self._reference.name}: {why}",
            evidence="; ".join(filter(None, (evidence, self._problem))),
            next_step=_BROKEN_LOGIN if self._problem else next_step,
        )


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _challenges(header: str) -> dict[str, dict[str, str | None]]:
    """What a WWW-Authenticate header asks for: "basic" or "bearer" → its parameters."""
    _, *parts = _CHALLENGE.split(header)
    # requests has no types for this.
    return {kind.lower(): parse_dict_header(rest) for kind, rest in zip(parts[::2], parts[1::2], strict=True)}  # type: ignore[no-untyped-call]


def _for_our_platform(entries: list[Any], reference: str) -> Mapping[str, Any]:
    """The entry for linux/amd64, the plain one before its variants; without any platforms the first, whose config tells its own."""
    listed = [entry for entry in entries if isinstance(entry, Mapping)]
    platforms = [(_platform(entry), entry) for entry in listed]
    ours = sorted((pair for pair in platforms if pair[0][0] == _OURS), key=lambda pair: pair[0][1])
    if ours:
        return ours[0][1]
    named = sorted({name for (name, _), _ in platforms if name} - {"unknown/unknown"})
    if plain := [entry for (name, _), entry in platforms if not name]:
        return plain[0]
    raise UnsupportedImage(
        f"it is built for {error_responses.detail(', '.join(named)) or 'no platform'}; Chutes runs {_OURS}",
        where=reference,
        next_step=f"build it for {_OURS} too, and push it",
    )


def _platform(entry: Mapping[str, Any]) -> tuple[str, str]:
    """("linux/amd64", its variant) of an index's entry; empty where it tells none."""
    platform = entry.get("platform")
    if not isinstance(platform, Mapping):
        return "", ""
    return f"{platform.get('os')}/{platform.get('architecture')}", str(platform.get("variant") or "")
