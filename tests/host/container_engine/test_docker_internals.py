"""The parts of docker-py that we use and that it does not document: each must still exist, with the same meaning.

docker-py has no other way to them. A failure here names what has gone and who uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
import requests
from docker.context import ContextAPI
from docker.errors import APIError, NotFound, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

SOCKET_CALLER = "correct DockerEngine.is_local in host/container_engine/docker_engine.py"
CALLED_ATTRIBUTES = "correct _called in host/container_engine/docker_container.py"


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    """A client of an engine that gets no requests."""
    made = docker.DockerClient(base_url="unix:///nowhere/docker.sock", version="1.41", timeout=7)
    yield made
    made.close()


def test_the_address_of_a_socket_is_docker_pys_own_scheme(client: docker.DockerClient) -> None:
    assert str(client.api.base_url).startswith("http+docker:"), SOCKET_CALLER


def test_the_address_of_another_machine_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    other = docker.DockerClient(base_url="tcp://192.0.2.1:2375", version="1.41")
    assert str(other.api.base_url) == "http://192.0.2.1:2375", SOCKET_CALLER
    other.close()


def test_the_api_is_a_session_of_requests_with_address_version_and_timeout(client: docker.DockerClient) -> None:
    assert isinstance(client.api, requests.Session), (
        f"docker-py does not send with requests any more: {CALLED_ATTRIBUTES}"
    )
    assert (client.api.api_version, client.api.timeout) == ("1.41", 7), CALLED_ATTRIBUTES


def test_a_container_knows_its_client(client: docker.DockerClient) -> None:
    container = client.containers.prepare_model({"Id": "a" * 64})
    assert container.client is client, f"a container has no client any more: {CALLED_ATTRIBUTES}"


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (409, APIError)])
def test_an_http_error_becomes_docker_pys_own(status: int, kind: type[Exception]) -> None:
    response = requests.Response()
    response.status_code = status
    with pytest.raises(kind):
        create_api_error_from_http_exception(requests.HTTPError(response=response))


def test_a_context_has_host_and_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    context = ContextAPI.get_context("default")
    for name in ("Host", "TLSConfig"):
        assert hasattr(context, name), (
            f"docker-py's context has no {name} any more: correct host/container_engine/docker_engine.py"
        )


def test_the_environment_is_read_into_the_clients_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    assert kwargs_from_env().get("base_url") == "tcp://192.0.2.1:2375", (
        "correct _endpoint in host/container_engine/docker_engine.py"
    )
