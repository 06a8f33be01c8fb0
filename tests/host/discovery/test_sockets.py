from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.discovery.sockets import Listener, parse_listeners

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F54 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0B00007F:A001 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 00000000:00000000
cat: /proc/net/tcp6: No such file or directory
   9: zz:yy 0 0A
   9: 00000000 0 0A 0A
"""


def test_listening_sockets_are_read() -> None:
    assert parse_listeners(TABLE) == (
        Listener(port=80, address="::"),
        Listener(port=81, address="::1"),
        Listener(port=82, address="127.0.0.1"),
        Listener(port=8020, address="127.0.0.1"),
        Listener(port=8080, address="0.0.0.0"),
    )


def test_loopback_addresses_are_detected() -> None:
    assert [listener.is_loopback for listener in parse_listeners(TABLE)] == [False, True, True, True, False]


@given(st.text(alphabet="0123456789ABCDEFx: \n", max_size=200))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    for listener in parse_listeners(text):
        assert isinstance(listener.is_loopback, bool)
