"""The path prefix of a service's operations: ``servers`` of OpenAPI 3, ``basePath`` of Swagger 2.0. Pure.

Only the path of a server URL is used: its host is that of another deployment of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

_MAX_URL_LENGTH = 2000


def read_prefixes(node: Mapping[str, Any], location: str) -> tuple[str, ...]:
    """Return the distinct path prefixes that ``node`` (a document, path item or operation) declares, in its order.

    ``location`` is the path of the document itself: relative server URLs start there. A prefix is empty, or starts with
    "/" and does not end with "/". Invalid servers are ignored.
    """
    if "swagger" in node or "basePath" in node:
        base_path = node.get("basePath")
        return (_prefix_from_url(base_path, location),) if isinstance(base_path, str) else ()
    servers = node.get("servers")
    if not isinstance(servers, list):
        return ()
    urls = [_expand_url(server) for server in servers[:20] if isinstance(server, Mapping)]
    return tuple(dict.fromkeys(_prefix_from_url(url, location) for url in urls if url is not None))


def _expand_url(server: Mapping[str, Any]) -> str | None:
    """Return the URL of a server with its variables replaced by their defaults."""
    url, variables = server.get("url"), server.get("variables")
    if not isinstance(url, str) or len(url) > _MAX_URL_LENGTH:
        return None
    for name, variable in list(variables.items())[:50] if isinstance(variables, Mapping) else ():
        default = variable.get("default") if isinstance(variable, Mapping) else None
        if isinstance(default, (str, int)) and len(str(default)) < 200:
            url = url.replace("{" + name + "}", str(default)) if name else url
        if len(url) > _MAX_URL_LENGTH:  # defaults that contain other variables multiply
            return None
    return url


def _prefix_from_url(url: str, location: str) -> str:
    try:
        path = unquote(urlsplit(urljoin(location, url)).path)
    except ValueError:  # a host such as "[" in the URL
        return ""
    path = "/" + path.strip("/")
    return path if path != "/" else ""
