"""The connection to Docker's engine: docker-py's client, whose API is a session of ``requests``, with the rules of the host's sessions."""

from __future__ import annotations

import os
import socket
from typing import Any

import docker
from docker.context import ContextAPI
from docker.errors import ContextNotFound
from docker.utils import kwargs_from_env

from chutes_wrappers.host.http_sessions import SessionRules


class HostDockerClient(docker.DockerClient):
    """A Docker client whose requests never contain a password of ``~/.netrc``. ``options`` are those of docker.APIClient."""

    def __init__(self, **options: Any) -> None:
        # In place of DockerClient's own, which connects at once.
        self.api = _ApiClient(**options)


class _ApiClient(SessionRules, docker.APIClient):
    pass


def open_client(timeout_s: int) -> HostDockerClient:
    """Connect to the engine that the ``docker`` command would use. ``timeout_s`` limits each response.

    Raises DockerException, OSError or ValueError. Raises AttributeError or TypeError for an invalid ``config.json`` of Docker.
    """
    endpoint = _find_endpoint()
    _check_socket(str(endpoint.get("base_url")))
    client = HostDockerClient(version="auto", timeout=timeout_s, use_ssh_client=True, **endpoint)
    client.ping()
    return client


def _find_endpoint() -> dict[str, Any]:
    options: dict[str, Any] = dict(kwargs_from_env())
    if "base_url" in options:
        return options
    name = os.environ.get("DOCKER_CONTEXT") or None
    context = ContextAPI.get_context(name)
    if context is None:
        raise ContextNotFound(name or "current")
    return {"base_url": context.Host, "tls": context.TLSConfig or options.get("tls", False)}


def _check_socket(base_url: str) -> None:
    """Raise the system's error with the socket's path. docker-py would wrap it in text, and leave a socket open."""
    scheme, _, path = base_url.partition("://")
    if scheme in ("unix", "http+unix"):
        socket_path = "/" + path.lstrip("/")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(socket_path)
            except OSError as error:
                raise type(error)(error.errno, error.strerror or str(error), socket_path) from error
