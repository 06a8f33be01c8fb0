"""What a registry tells of an image, without a pull (OCI distribution specification 1.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import parse_dict_header

from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage, WrapperError

_TIMEOUT_S = 20.0
_LISTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_LONGEST_BYTES = 4 * 1024**2
# OCI distribution specification, "Pulling manifests"; a digest stands where a tag does.
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z|[a-z0-9]+:[a-f0-9]{32,}\Z")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_REFUSED = "log in with `docker login`, or check the image's name and tag"


@dataclass(frozen=True, kw_only=True)
class PublishedImage:
    """An image as ``docker inspect`` describes one, as far as a registry knows; ``size_bytes`` is that of its packed layers."""

    attributes: Mapping[str, Any]
    size_bytes: int


class RegistryUnavailable(WrapperError):
    """The registry does not tell: it cannot be reached, refuses, or has no such image."""


def look_up(reference: str) -> PublishedImage:
    """The image's configuration for linux/amd64, asked with the credentials that ``docker login`` keeps.

    Raises ConfigurationError for what is no reference, UnsupportedImage for an image of other platforms only,
    RegistryUnavailable when the registry does not tell.
    """
    host, name, tag = _parts(reference)
    with requests.Session() as session:
        return _Registry(session, host, name).image(reference, tag)


def check_reference(reference: str) -> None:
    """Raise ConfigurationError for what no image can be called."""
    _parts(reference)


def _parts(reference: str) -> tuple[str, str, str]:
    """(registry, repository, tag or digest) as Docker reads a reference."""
    from docker import auth
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(reference)
    try:
        host, name = auth.resolve_repository_name(repository)
    except (DockerException, ValueError):
        host, name = "", ""
    if not _REPOSITORY.match(name) or not _TAG.match(tag or "latest"):
        raise ConfigurationError(
            f"{reference!r} is no image reference",
            where="IMAGE",
            next_step="name it as in nginx:1.27 or registry.example.com/it:1",
        )
    if host == auth.INDEX_NAME and "/" not in name:
        name = f"library/{name}"
    return host, name, tag or "latest"


class _Registry:
    """One repository of a registry; ``_token`` is what the registry gave us for it."""

    def __init__(self, session: requests.Session, host: str, name: str) -> None:
        from docker.auth import INDEX_NAME

        self._session = session
        self._host = host
        self._name = name
        # Docker's own index names a registry that is served beside it.
        served = f"registry-1.{host}" if host == INDEX_NAME else host
        scheme = "http" if urlsplit(f"//{host}").hostname in _LOOPBACK else "https"
        self._root = f"{scheme}://{served}/v2/{name}/"
        self._token: str | None = None

    def image(self, reference: str, tag: str) -> PublishedImage:
        manifest, digest = self._json(f"manifests/{tag}", (*_LISTS, *_MANIFESTS))
        if isinstance(manifest.get("manifests"), list):
            chosen = _for_our_platform(manifest["manifests"], reference)
            manifest, _ = self._json(f"manifests/{chosen}", _MANIFESTS)
        config, layers = manifest.get("config"), manifest.get("layers")
        if not isinstance(config, Mapping) or not isinstance(layers, list):
            raise self._unavailable("it describes the image in a way that is not known here", "")
        told, _ = self._json(f"blobs/{config.get('digest')}", ("*/*",))
        size = sum(
            layer["size"] for layer in layers if isinstance(layer, Mapping) and isinstance(layer.get("size"), int)
        )
        attributes = {
            "Os": told.get("os") or "linux",
            "Architecture": told.get("architecture") or "amd64",
            "Config": told.get("config") or {},
            "RepoDigests": [f"{reference}@{digest}"] if digest else [],
        }
        return PublishedImage(attributes=attributes, size_bytes=size)

    def _json(self, path: str, accepted: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        answer = self._get(path, accepted)
        if answer.status_code == requests.codes.unauthorized:
            self._log_in(answer)
            answer = self._get(path, accepted)
        if answer.status_code != requests.codes.ok:
            raise self._unavailable(f"it answers {answer.status_code}", answer.reason or "")
        try:
            value = json.loads(answer.content[:_LONGEST_BYTES])
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._unavailable("its answer is none of a registry", "")
        return value, answer.headers.get("Docker-Content-Digest", "")

    def _get(self, path: str, accepted: tuple[str, ...]) -> requests.Response:
        headers = {"Accept": ", ".join(accepted), **({"Authorization": self._token} if self._token else {})}
        return self._ask(urljoin(self._root, path), headers=headers)

    def _ask(self, url: str, **options: Any) -> requests.Response:
        try:
            return self._session.get(url, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            raise self._unavailable("it cannot be reached", type(error).__name__) from error

    def _log_in(self, refused: requests.Response) -> None:
        """Get what the next request is allowed with: a token of the service that the registry names, else our password."""
        pair = self._password()
        kind, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        if kind.lower() == "basic" and pair:
            request = requests.Request("GET", self._root, auth=pair).prepare()
            self._token = request.headers["Authorization"]
        elif kind.lower() == "bearer":
            asked = parse_dict_header(rest)  # type: ignore[no-untyped-call]  # requests has no types here
            scope = asked.get("scope") or f"repository:{self._name}:pull"
            answer = self._ask(
                str(asked.get("realm")), params={"service": asked.get("service") or "", "scope": scope}, auth=pair
            )
            told = answer.json() if answer.ok and "json" in answer.headers.get("Content-Type", "") else {}
            token = told.get("token") or told.get("access_token")
            self._token = f"Bearer {token}" if token else None

    def _password(self) -> tuple[str, str] | None:
        """What ``docker login`` keeps for this registry, in its file or in a credential helper."""
        from docker import auth
        from docker.errors import DockerException

        try:
            known = auth.load_config().resolve_authconfig(self._host) or {}
        except (DockerException, OSError, ValueError):
            return None
        user, password = known.get("Username") or known.get("username"), known.get("Password") or known.get("password")
        return (user, password) if user and password else None

    def _unavailable(self, why: str, evidence: str) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"the registry {self._host} does not tell about {self._name}: {why}", evidence=evidence, next_step=_REFUSED
        )


def _for_our_platform(entries: list[Any], reference: str) -> str:
    platforms = {}
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("platform"), Mapping):
            platform = entry["platform"]
            platforms[f"{platform.get('os')}/{platform.get('architecture')}"] = str(entry.get("digest"))
    if "linux/amd64" in platforms:
        return platforms["linux/amd64"]
    raise UnsupportedImage(
        f"it is built for {', '.join(sorted(platforms)) or 'no platform that it names'}; Chutes runs linux/amd64",
        where=reference,
        next_step="build it for linux/amd64 too, and push it",
    )
