"""``--cost`` with a price, without one, before and after the deployment, for one GPU and for two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli.commands import cost
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import parse_chute
from tests.host.preflight.module_texts import build_description
from tests.scenario import Scenario

PRICING = {"gpu_price_estimates": {"pro_6000": {"usd": {"hour": 2.0}}}, "tao_usd": 300.0, "compute_unit_estimate": {}}


class Api:
    """A platform that answers requests for prices; ``sent`` are its requests."""

    def __init__(self, pricing: dict[str, Any] | None) -> None:
        self.pricing = pricing
        self.sent: list[str] = []

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def get(self, path: str, what: str, *, purpose: str) -> dict[str, Any]:
        self.sent.append(path)
        if self.pricing is None:
            raise PlatformRequestFailed(what, status=404, where="", evidence="", next_step="")
        return self.pricing


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHUTES_USERNAME", "tester")
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(tmp_path / "none.ini"))
    return str(Scenario(tmp_path, "priced", "vendor/unused:1", [9000]).module)


def show(
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    pricing: Any,
    gpu_count: int = 1,
    deployed: Any = None,
    *,
    as_json: bool = True,
) -> Api:
    """Run ``--cost`` of a module with so many GPUs against a platform with this ``pricing``; None: it answers 404."""
    described = build_description()
    described["node_selector"]["gpu_count"] = gpu_count
    api = Api(pricing)
    monkeypatch.setattr(cost, "describe_staged_module", lambda stage, report: described)
    monkeypatch.setattr(api_client, "connect", lambda credentials=None: api)
    monkeypatch.setattr(cost, "has_account", lambda: deployed is not None)
    monkeypatch.setattr(cost, "find_listed_chute", lambda api, name: deployed(name))
    assert cost.show_cost(module, as_json=as_json) == 0
    return api


def make_deployed(price: Any, gpu_count: int = 1) -> Any:
    selector = {"gpu_count": gpu_count, "include": ["pro_6000"]}
    record = {"chute_id": "1", "node_selector": selector, "current_estimated_price": price}
    return lambda name: parse_chute({**record, "name": name})


@pytest.mark.parametrize(
    ("pricing", "gpu_count", "deployed", "expected"),
    [
        (PRICING, 1, None, (2.0, "pricing", False, 6.0, 6.0, False)),
        (PRICING, 2, None, (4.0, "pricing", False, 12.0, 24.0, False)),
        (None, 1, None, (1.8, "table", True, 5.4, 5.4, False)),
        (None, 2, None, (3.6, "table", True, 10.8, 21.6, False)),
        ({"gpu_price_estimates": {"h100": {"usd": {"hour": 1}}}}, 1, None, (1.8, "table", True, 5.4, 5.4, False)),
        (PRICING, 1, make_deployed({"usd": {"hour": 3.0}}), (3.0, "chute", False, 9.0, 9.0, True)),
        (None, 2, make_deployed({"usd": {"hour": 5.0}}, 2), (5.0, "chute", False, 15.0, 30.0, True)),
        (PRICING, 2, make_deployed({"usd": {"hour": 3.0}}, 1), (4.0, "pricing", False, 12.0, 24.0, True)),
        (PRICING, 1, make_deployed(None), (2.0, "pricing", False, 6.0, 6.0, True)),
        (None, 1, make_deployed("odd"), (1.8, "table", True, 5.4, 5.4, True)),
    ],
)
def test_the_source_of_a_price_is_named(
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pricing: Any,
    gpu_count: int,
    deployed: Any,
    expected: tuple[Any, ...],
) -> None:
    api = show(module, monkeypatch, pricing, gpu_count, deployed)
    payload = json.loads(capsys.readouterr().out)
    names = ("source", "is_estimate", "first_deployment_usd", "first_deployment_usd_up_to", "is_deployed")
    assert (payload["usd_per_hour"]["pro_6000"], *(payload[name] for name in names)) == expected
    assert (payload["first_deployment_is_estimate"], payload["prices_of"]) == (True, "2026-08" if expected[2] else None)
    assert api.sent == ["/pricing"]


def test_no_amount_is_shown_without_whose_it_is(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(module, monkeypatch, None, 2, as_json=False)
    shown = capsys.readouterr()
    assert ("about $3.60" in shown.out, "about $86.40" in shown.out) == (True, True)
    assert "estimate by the known prices of 2026-08" in shown.err
    assert "costs about $10.80, up to $21.60, once (estimate:" in shown.err


def test_an_account_that_cannot_be_read_changes_nothing(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str) -> Any:
        raise WrapperError("no answer")

    show(module, monkeypatch, PRICING, deployed=fail)
    shown = capsys.readouterr()
    assert (json.loads(shown.out)["is_deployed"], "is not known: no answer" in shown.err) == (False, True)
