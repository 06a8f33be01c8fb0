from __future__ import annotations

import socket

import pytest

from chutes_wrappers.cli.local_port import check_free_port
from chutes_wrappers.core.errors import ConfigurationError


def test_a_port_in_use_is_rejected_with_the_flag_for_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"port {port} cannot be used (.|\n)*set another port with --listen"
        ):
            check_free_port(port, flag="--listen")


def test_a_port_is_free_while_a_closed_connection_lingers_on_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # first, and so it is this side that lingers in TIME_WAIT
            assert client.recv(1) == b""
    assert check_free_port(port) == port


def test_zero_is_any_free_port() -> None:
    assert check_free_port(check_free_port(0)) > 0
