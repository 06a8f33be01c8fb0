from __future__ import annotations

import pytest

from chutes_wrappers.runtime.listening import Listener, explain


@pytest.mark.parametrize(
    ("listeners", "sentences"),
    [
        ([], ["the service listens on no port"]),
        ([Listener("0.0.0.0", 8020)], []),
        ([Listener("::", 8020)], []),
        ([Listener("127.0.0.1", 8020)], []),
        (
            [Listener("172.17.0.2", 8020)],
            ["the service listens on 172.17.0.2:8020 only; have it listen on 0.0.0.0 or 127.0.0.1"],
        ),
        ([Listener("::1", 8020)], ["the service listens on [::1]:8020 only; have it listen on 0.0.0.0 or 127.0.0.1"]),
        ([Listener("::", 9000)], ["the service listens on [::]:9000; if that is it, correct SERVICE_PORTS"]),
        ([Listener("0.0.0.0", 8080), Listener("0.0.0.0", 8020)], []),
    ],
)
def test_what_is_said_about_a_missing_port(listeners: list[Listener], sentences: list[str]) -> None:
    assert explain([8020], [8020, 8080], "127.0.0.1", listeners) == sentences
