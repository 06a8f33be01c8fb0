"""TEE settings, GPUs and names of subnets that the platform would reject. Pure.

The API accepts one form only (api, PLATFORM.md, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.host.preflight.problem import Problem

_GPU = platform_rules.TEE_GPU
_PRICE = platform_rules.GPU_HOURLY_PRICES[_GPU]
_TWO_LINES = "write these two lines in Chute(…):\n" + "\n".join(f"    {line}" for line in platform_rules.TEE_ARGUMENTS)


def find_placement_problems(described: Mapping[str, Any], file: str) -> Iterator[Problem]:
    """Yield problems of the module in ``file`` that only matter on the platform. ``described`` is what it defines."""
    name = described["name"]
    if word := platform_checks.find_subnet_word(name):
        yield Problem(
            rule="subnet-name",
            what=f"the chute name {name[:200]!r} contains {word!r}, which belongs to a subnet",
            where=file,
            fix="choose a CHUTE_NAME without that word",
            only_on_platform=True,
        )
    if faults := [*_find_tee_faults(described["tee"], name), *_find_selector_faults(described["node_selector"])]:
        yield Problem(
            rule="tee-placement",
            what=f"Chutes accepts only confidential (TEE) chutes on one GPU, {_GPU}; here {'; '.join(faults)}"
            + _format_api_rejection(described["tee"], described["node_selector"]),
            where=f"{file}, Chute(…)",
            fix=_TWO_LINES,
            only_on_platform=True,
        )


def _format_api_rejection(tee: Any, selector: Mapping[str, Any] | None) -> str:
    """Return the API's error text, which users may search for; empty when the API has none."""
    if tee is not True:
        return f" (the API: 400 {platform_rules.TEE_REQUIRED_MESSAGE!r})"
    if selector and not platform_checks.is_tee_placement(selector["gpu_count"], selector["include"]):
        return f" (the API: 400 {platform_rules.TEE_LIMITED_MESSAGE!r})"
    return ""


def _find_tee_faults(tee: Any, name: str) -> Iterator[str]:
    if tee is not True:
        yield f"tee is {tee!r}"
        if platform_checks.is_tee_name(name):
            yield f"the name {name[:200]!r} needs tee=True"


def _find_selector_faults(selector: Mapping[str, Any] | None) -> Iterator[str]:
    if selector is None:
        yield "node_selector is not set"
        return
    if selector["gpu_count"] != platform_rules.TEE_GPU_COUNT:
        yield f"gpu_count is {selector['gpu_count']!r}"
    yield from _find_include_faults(selector["include"])
    yield from _find_exclude_faults(selector["exclude"] or ())
    yield from _find_limit_faults(selector)


def _find_include_faults(names: Any) -> Iterator[str]:
    if not names:
        yield "include is not set"
    elif [str(name).lower() for name in names] != [_GPU]:
        yield f"include is {_format_names(names)}"
    elif names[0] != _GPU:
        yield f"include is {names[0]!r}, which the API finds only in lower case"


def _find_exclude_faults(names: Iterable[Any]) -> Iterator[str]:
    excluded = [str(name) for name in names]
    if _GPU in (name.lower() for name in excluded):
        yield f"exclude has {_GPU}"
    if unknown := platform_checks.find_unknown_gpus(excluded):
        yield f"exclude has unknown GPUs: {_format_names(unknown)}"
    if len(excluded) > platform_rules.MAX_EXCLUDED_GPUS:
        yield f"exclude has {len(excluded)} entries, more than {platform_rules.MAX_EXCLUDED_GPUS}"


def _find_limit_faults(selector: Mapping[str, Any]) -> Iterator[str]:
    memory, price = selector["min_vram_gb_per_gpu"], selector["max_hourly_price_per_gpu"]
    min_memory, max_memory = platform_rules.TEE_MIN_VRAM_GB
    if not isinstance(memory, int) or not min_memory <= memory <= max_memory:
        yield f"min_vram_gb_per_gpu is {memory!r}, not from {min_memory} to {max_memory}"
    max_price = platform_rules.MAX_HOURLY_PRICE
    if price is not None and not _PRICE <= price < max_price:
        yield f"max_hourly_price_per_gpu is {price!r}, not from {_PRICE:.2f} to below {max_price:g}"


def _format_names(names: Iterable[Any]) -> str:
    return ", ".join(repr(str(name)[:40]) for name in names)
