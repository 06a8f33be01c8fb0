"""What the report of ``--verify`` shows of a chute that returns the key of its caller."""

from __future__ import annotations

import pytest

from chutes_wrappers.cli import verify_report
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.forwarding.chute_client import parse_deployed_address
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.deployed_check import RouteResult
from chutes_wrappers.host.platform_api.objects import parse_chute

KEY = "cpk_Canary"


@pytest.mark.parametrize("as_json", [True, False])
def test_the_key_is_masked_wherever_a_chute_returns_it(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    response = HttpResponse(status=200, content_type=f"text/{KEY}\x1b[2J{'x' * 10_000}", body=KEY.encode())
    result = RouteResult(
        name="GET /x", kind="different", message=f"text/{KEY} came", response=response, evidence=f"Bearer {KEY}"
    )
    address = parse_deployed_address("http://127.0.0.1:1", KEY)
    chute = parse_chute({"chute_id": "c", "name": "case"})
    with pytest.raises(WrapperError, match="does not respond as"):
        verify_report.report_results([result], chute, address, as_json=as_json)
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "text/" in shown
    assert "canary" not in shown.lower()
    assert len(shown) < 5_000
