"""Which GPUs fit, and what the first deployment costs."""

from __future__ import annotations

from chutes_wrappers.emulator.gpus import GPUS, first_deployment_fee, suitable


def test_the_cheapest_that_fits_comes_first() -> None:
    assert [gpu.name for gpu in suitable(80)] == ["a100", "h100", "h200"]
    assert len(suitable(16)) == len(GPUS)


def test_a_selector_narrows_it_down() -> None:
    assert [gpu.name for gpu in suitable(16, include=["H200", "4090"], exclude=["4090"])] == ["h200"]
    assert suitable(140, max_hourly_price=1) == []
    assert suitable(141) == []


def test_the_fee_is_three_hours_of_all_gpus() -> None:
    assert first_deployment_fee(0.5, 8) == 12
