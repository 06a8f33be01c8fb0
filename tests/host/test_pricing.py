"""What a chute costs, by the platform's prices."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.platform_rules import GPU_HOURLY_PRICES
from chutes_wrappers.host.pricing import (
    compute_first_deployment_fee,
    find_hourly_price,
    find_offered_price,
    format_dollars,
    format_fee_estimate,
    format_hourly,
    is_fee_notice,
    parse_fee,
    parse_hourly_price,
)


def test_price_and_fee_are_those_of_the_offered_gpu() -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert (parse_hourly_price(pricing), compute_first_deployment_fee(pricing)) == (1.8, 5.4)


@pytest.mark.parametrize(
    ("selector", "fee"),
    [
        ({"gpu_count": 1, "include": ["pro_6000"]}, 5.4),
        ({"gpu_count": "2", "include": ["pro_6000"]}, 10.8),
        ({"gpu_count": 8, "include": ["pro_6000", "3090"]}, 6.0),
        ({"gpu_count": 8, "include": ["pro_6000", "3090"], "exclude": ["3090"]}, 43.2),
        ({"gpu_count": 1, "include": ["h100"]}, None),
        ({"gpu_count": "many", "include": ["pro_6000"]}, None),
    ],
)
def test_the_fee_of_another_placement_is_of_all_its_gpus(selector: dict[str, Any], fee: float | None) -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert compute_first_deployment_fee(pricing, selector) == fee


@pytest.mark.parametrize(
    "pricing",
    [
        {},
        {"gpu_price_estimates": []},
        {"gpu_price_estimates": {"h100": {"usd": {"hour": 1.5}}}},
        {"gpu_price_estimates": {"pro_6000": 1}},
        {"gpu_price_estimates": {"pro_6000": {"usd": {"hour": "1.8"}}}},
        {"gpu_price_estimates": {"pro_6000": {"usd": {"hour": True}}}},
    ],
)
def test_a_missing_price_is_none(pricing: dict[str, Any]) -> None:
    assert (parse_hourly_price(pricing), compute_first_deployment_fee(pricing)) == (None, None)


ONE = {"gpu_count": 1, "include": ["pro_6000"]}
TWO = {"gpu_count": 2, "include": ["pro_6000"]}
# As the API of October 2025 answers (api-observed 4): no memory.
PRICING = {
    "compute_unit_estimate": {"usd": {"hour": 0.2}},
    "tao_usd": 300.0,
    "gpu_price_estimates": {"pro_6000": {"usd": {"hour": 2.0, "second": 0.0006}, "tao": {"hour": 0.007}}},
}
DEPLOYED = {"current_estimated_price": {"usd": {"hour": 3.0, "second": 0.0008}, "tao": {"hour": 0.01}}}


@pytest.mark.parametrize(
    ("selector", "pricing", "record", "expected"),
    [
        (ONE, PRICING, None, (2.0, "pricing", 6.0, 6.0)),
        (TWO, PRICING, None, (4.0, "pricing", 12.0, 24.0)),
        (ONE, {}, None, (1.8, "table", 5.4, 5.4)),
        (TWO, {}, None, (3.6, "table", 10.8, 21.6)),
        (ONE, PRICING, DEPLOYED, (3.0, "chute", 9.0, 9.0)),
        (TWO, {}, DEPLOYED, (3.0, "chute", 9.0, 18.0)),
        (TWO, {}, {"current_estimated_price": None}, (3.6, "table", 10.8, 21.6)),
        ({**TWO, "supported_gpus": ["3090", "h100"]}, {}, {}, (0.5, "table", 1.5, 3.0)),
        ({"gpu_count": 1, "include": ["unheard_of"]}, PRICING, None, None),
        ({"gpu_count": "many", "include": ["pro_6000"]}, PRICING, None, None),
    ],
)
def test_the_price_is_by_the_first_source_that_knows_it(
    selector: dict[str, Any], pricing: dict[str, Any], record: dict[str, Any] | None, expected: Any
) -> None:
    price = find_hourly_price(selector, pricing=pricing, record=record)
    found = price and (round(price.usd, 4), price.source, price.fee_usd, price.highest_fee_usd)
    assert found == expected


@pytest.mark.parametrize(
    "odd", [None, [], 5, {"usd": 1}, {"usd": {"hour": "1"}}, {"usd": {"hour": float("nan")}}, {"usd": {"hour": -1}}]
)
def test_an_odd_price_of_a_chute_is_an_estimate_instead(odd: Any) -> None:
    price = find_hourly_price(ONE, record={"current_estimated_price": odd})
    assert price is not None
    assert format_hourly(price) == "about $1.80 an hour (estimate by the known prices of 2026-08)"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, ("pro_6000", 1, 2.0)),
        ({"gpu_count": 1, "include": None}, ("pro_6000", 1, 2.0)),
        ({"gpu_count": 2, "include": None}, ("pro_6000", 2, 4.0)),
        ({"gpu_count": 1, "include": ["PRO_6000"]}, ("pro_6000", 1, 2.0)),
        ({"gpu_count": 2, "include": ["h100"]}, ("h100", 2, 2 * GPU_HOURLY_PRICES["h100"])),
        ({"gpu_count": 2, "include": ["unheard_of"]}, ("pro_6000", 1, 2.0)),
    ],
)
def test_a_module_that_names_no_gpu_gets_the_only_one_that_is_offered(selector: Any, expected: Any) -> None:
    price = find_offered_price(selector, PRICING)
    assert (price.gpu, price.gpu_count, price.usd) == expected


def test_several_gpus_have_a_second_fee_which_the_server_of_2025_asks_for() -> None:
    assert format_fee_estimate(find_offered_price(ONE, {})) == "$5.40"
    assert format_fee_estimate(find_offered_price(TWO, {})) == "$10.80, up to $21.60,"


OBSERVED = (
    "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * 3), which for this "
    "configuration is: $0.6\n To acknowledge this fee, deploy with --accept-fee.\nThe hourly price is $0.2"
)


@pytest.mark.parametrize(
    ("text", "fee"),
    [
        (OBSERVED, 0.6),
        (OBSERVED.replace("$0.6", "$0.6000000000000001"), 0.6000000000000001),
        (OBSERVED.replace("$0.6", "$1,234.5."), 1234.5),
        ("DEPLOYMENT FEE NOTICE: the hourly price is $1.8, and the deployment fee is $5.4", 5.4),
        ("Deploying this chute has a one-time fee of $0.30, which must be accepted with --accept-fee", 0.3),
        ("DEPLOYMENT FEE NOTICE: the hourly price is $1.8", None),
        ("DEPLOYMENT FEE NOTICE: your balance is $100. A fee of 3 hours applies", None),
        ("DEPLOYMENT FEE NOTICE: a GPU has a price of $1.8", None),
        ("DEPLOYMENT FEE NOTICE: a fee of (price per GPU * 3): $16.20; your balance is $100", 16.2),
    ],
)
def test_the_fee_is_read_from_the_notice(text: str, fee: float | None) -> None:
    assert (is_fee_notice(text), parse_fee(text)) == (True, fee)


@pytest.mark.parametrize(
    "text",
    [
        "The deployment fee, based on your node selector, is $0.6000000000000001, but you have a balance of 0.0.\nPlease top up",
        "Please top up your account, then deploy with --accept-fee",
        "ContentTypeError: 502, message='…', url='http://127.0.0.1:1/chutes/?accept_fee=true'",
        "Insufficient balance",
        "",
    ],
)
def test_another_402_or_failure_is_no_notice(text: str) -> None:
    assert not is_fee_notice(text)


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.6000000000000001, "$0.60"), (5.4, "$5.40"), (0.025, "$0.025"), (1 / 12, "$0.0833"), (0, "$0.00")],
)
def test_dollars_hide_no_part_of_a_cent_that_counts(usd: float, text: str) -> None:
    assert format_dollars(usd) == text
