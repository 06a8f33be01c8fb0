"""What the check of an emulated chute reads again at its service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from chutes_wrappers.cli.emulation.parity_run import make_file_reader
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.parity.comparison import HttpResponse


def test_no_file_is_read_after_one_without_a_response() -> None:
    requested = []

    def send_direct(request: DirectRequest) -> HttpResponse:
        requested.append(request.target)
        is_silent = request.target == "/silent"
        return HttpResponse(status=0, problem="no response") if is_silent else HttpResponse(status=200, body=b"{}")

    chute: Any = SimpleNamespace(send_direct=send_direct)
    read_file = make_file_reader(cast(DeployedChute, chute), 8020)
    assert [read_file(path) for path in ("/a", "/silent", "/b")] == [b"{}", None, None]
    assert requested == ["/a", "/silent"]
