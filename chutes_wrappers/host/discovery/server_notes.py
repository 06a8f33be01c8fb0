"""Notes on what the ``servers`` of OpenAPI 3 say and no call does: other hosts, and values of variables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

_MAX_SERVERS = 20
_MAX_LENGTH = 200


def find_server_notes(document: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Return notes on the servers of ``node``, a path item or operation: another host, or several paths."""
    own_servers = list(_iterate_servers(node))
    if not own_servers:
        return []
    notes = []
    hosts = {_get_host(server) for server in _iterate_servers(document)} | {""}
    if all(_get_host(server) not in hosts for server in own_servers):
        notes.append(f"its server is {own_servers[0]['url'][:_MAX_LENGTH]}: calls go to this service")
    paths = list(dict.fromkeys(_get_path(server) for server in own_servers))
    if len(paths) > 1:
        notes.append(f"it is also served below {', '.join(paths[1:5])[:_MAX_LENGTH]}: calls use {paths[0]}")
    return notes


def find_variable_notes(document: Mapping[str, Any]) -> list[str]:
    """Return notes on the variables with several values in the path of the document's servers: calls use one."""
    notes: dict[str, None] = {}
    for server in _iterate_servers(document):
        variables = server.get("variables")
        for name, variable in list(variables.items())[:50] if isinstance(variables, Mapping) else ():
            values = variable.get("enum") if isinstance(variable, Mapping) else None
            if isinstance(values, list) and len(values) > 1 and f"{{{name}}}" in _get_path(server):
                text = ", ".join(map(str, values[:10]))[:_MAX_LENGTH]
                notes[f"server variable `{name[:100]}` may be {text}: calls use {variable.get('default')!r}"] = None
    return list(notes)


def _iterate_servers(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    servers = node.get("servers")
    for server in servers[:_MAX_SERVERS] if isinstance(servers, list) else ():
        if isinstance(server, Mapping) and isinstance(server.get("url"), str):
            yield server


def _get_host(server: Mapping[str, Any]) -> str:
    """Return the host of a server's URL, in which variables stay; empty for a relative URL."""
    try:
        return urlsplit(str(server["url"])).netloc.lower()
    except ValueError:
        return ""


def _get_path(server: Mapping[str, Any]) -> str:
    try:
        return urlsplit(str(server["url"])).path or "/"
    except ValueError:
        return "/"
