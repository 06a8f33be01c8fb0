from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from chutes_wrappers.host import local_ports


def close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_port_is_open_on_both_loopback_addresses() -> None:
    sockets = local_ports.open_loopback_sockets(0)
    try:
        addresses = [each.getsockname()[:2] for each in sockets]
        assert addresses[0][0] == "127.0.0.1"
        assert addresses[1:] == ([("::1", addresses[0][1])] if has_ipv6() else [])
    finally:
        close_all(sockets)


@pytest.mark.parametrize("code", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_ipv6_has_one_address(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    create = socket.create_server

    def create_without_ipv6(address: tuple[str, int], **options: Any) -> socket.socket:
        if address[0] == "::1":
            raise OSError(code, "no IPv6")
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", create_without_ipv6)
    sockets = local_ports.open_loopback_sockets(0)
    assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    close_all(sockets)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_another_program_has_on_either_address_is_an_error(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    create = socket.create_server

    def create_if_free(address: tuple[str, int], **options: Any) -> socket.socket:
        if address[0] == host:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return create(("127.0.0.1", 0), **{**options, "family": socket.AF_INET})

    monkeypatch.setattr(socket, "create_server", create_if_free)
    with pytest.raises(OSError, match="Address already in use"):
        local_ports.open_loopback_sockets(8020)
    with pytest.raises(OSError, match=r"in use|both loopback addresses"):
        local_ports.open_loopback_sockets(0)
