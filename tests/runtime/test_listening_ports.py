from __future__ import annotations

import socket
from typing import Any

import psutil
import pytest

from chutes_wrappers.runtime.listening_ports import Listener, explain_missing_ports, find_listeners


@pytest.mark.parametrize(
    ("listeners", "sentences"),
    [
        ([], ["the service listens on no port"]),
        ([Listener("0.0.0.0", 8020)], []),
        ([Listener("::", 8020)], []),
        ([Listener("127.0.0.1", 8020)], []),
        (
            [Listener("172.17.0.2", 8020)],
            ["the service listens only on 172.17.0.2:8020; make it listen on 0.0.0.0 or 127.0.0.1"],
        ),
        ([Listener("::1", 8020)], ["the service listens only on [::1]:8020; make it listen on 0.0.0.0 or 127.0.0.1"]),
        (
            [Listener("::", 9000)],
            ["the service listens on [::]:9000; if that is the right port, correct SERVICE_PORTS"],
        ),
        ([Listener("0.0.0.0", 8080), Listener("0.0.0.0", 8020)], []),
    ],
)
def test_explanations_of_a_missing_port(listeners: list[Listener], sentences: list[str]) -> None:
    assert explain_missing_ports([8020], [8020, 8080], "127.0.0.1", listeners) == sentences


def test_the_sockets_that_a_process_listens_on_are_found_and_its_connections_are_not() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as two,
        socket.create_connection(one.getsockname()) as client,
    ):
        listeners = find_listeners([psutil.Process()])
        assert Listener(*one.getsockname()[:2]) in listeners
        assert Listener(*two.getsockname()[:2]) in listeners
        assert Listener(*client.getsockname()[:2]) not in listeners
        assert listeners == sorted(listeners)


def test_a_process_without_access_has_no_listeners() -> None:
    class Closed(psutil.Process):
        def net_connections(self, kind: str = "inet") -> Any:
            raise psutil.AccessDenied(self.pid)

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert find_listeners([Closed()]) == []
        assert Listener(*server.getsockname()) in find_listeners([Closed(), psutil.Process()])
