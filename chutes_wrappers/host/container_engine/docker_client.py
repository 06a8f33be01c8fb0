"""docker-py's client, whose API is a session of ``requests``, with the rules of the host's sessions."""

from __future__ import annotations

from typing import Any

import docker

from chutes_wrappers.host.http_sessions import SessionRules


class HostDockerClient(docker.DockerClient):
    """A Docker client whose requests never contain a password of ``~/.netrc``. ``options`` are those of docker.APIClient."""

    def __init__(self, **options: Any) -> None:
        # In place of DockerClient's own, which connects at once.
        self.api = _ApiClient(**options)


class _ApiClient(SessionRules, docker.APIClient):
    pass
