"""TEE settings, GPUs and names of subnets that the platform would reject. Pure.

The API accepts one form only (api, PLATFORM.md, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.preflight.settings import find_field_problems

_GPU = platform_rules.TEE_GPU
_PRICE = platform_rules.GPU_HOURLY_PRICES[_GPU]
_PRICES_DATE = platform_rules.find_fact("gpu-name").date
_SELECTOR_FIELDS = (*platform_rules.NODE_RANGES, "max_hourly_price_per_gpu")
_TWO_LINES = "write these two lines in Chute(…):\n" + "\n".join(f"    {line}" for line in platform_rules.TEE_ARGUMENTS)


def find_placement_problems(described: Mapping[str, Any], file: str) -> Iterator[Problem]:
    """Yield problems of the module in ``file`` that only matter on the platform. ``described`` is what it defines."""
    where = f"{file}, Chute(…)"
    yield from _find_name_problems(described, file)
    yield from _find_tee_problems(described, where)
    if (selector := described["node_selector"]) is not None:
        yield from find_field_problems(selector, _SELECTOR_FIELDS, where, only_on_platform=True)
        yield from _find_gpu_name_problems(selector, where)
        yield from _find_exclude_count_problems(selector, where)
        yield from _find_offer_problems(selector, where)


def _find_name_problems(described: Mapping[str, Any], file: str) -> Iterator[Problem]:
    name = str(described["name"])
    if word := platform_checks.find_subnet_word(name):
        yield Problem(
            rule="subnet-name",
            what=f"the chute name {name[:200]!r} contains {word!r}, which belongs to a subnet: the platform refuses it to "
            "others, and gives some of these names no network",
            where=file,
            fix="choose a CHUTE_NAME without that word",
            only_on_platform=True,
        )
    if platform_checks.is_tee_name(name) and not _is_tee(described["tee"]):
        yield Problem(
            rule="tee-name",
            what=f"the name {name[:200]!r} needs tee=True: it contains 'TEE', or ends in 'tee'",
            where=file,
            fix=f"write {platform_rules.TEE_ARGUMENTS[0].rstrip(',')} in Chute(…), or choose another CHUTE_NAME",
            only_on_platform=True,
        )


def _find_tee_problems(described: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield one problem for everything that differs from the accepted form.

    Without ``tee`` the API does not look at the rest.
    """
    tee, selector = described["tee"], described["node_selector"]
    faults = [] if _is_tee(tee) else [f"tee is {tee!r}"]
    if selector is None:
        faults.append("node_selector is not set")
    elif not platform_checks.is_tee_placement(selector["gpu_count"], selector["include"]):
        faults.extend(_list_placement_faults(selector))
    if not faults:
        return
    response = (
        f"400 {platform_rules.TEE_LIMITED_MESSAGE!r}"
        if _is_tee(tee)
        else f"400 {platform_rules.TEE_REQUIRED_MESSAGE!r}"
    )
    yield Problem(
        rule="tee-placement" if _is_tee(tee) else "tee-required",
        what=f"Chutes accepts only confidential (TEE) chutes on one GPU, {_GPU}; here {'; '.join(faults)} "
        + ("(the SDK cannot upload a chute without a selector)" if selector is None else f"(the API: {response})"),
        where=where,
        fix=_TWO_LINES,
        only_on_platform=True,
    )


def _is_tee(tee: Any) -> bool:
    return platform_checks.read_setting("tee", tee) is True


def _list_placement_faults(selector: Mapping[str, Any]) -> Iterator[str]:
    if platform_checks.read_setting("gpu_count", selector["gpu_count"]) != platform_rules.TEE_GPU_COUNT:
        yield f"gpu_count is {selector['gpu_count']!r}"
    names = selector["include"]
    if not names:
        yield "include is not set"
    elif not isinstance(names, list | tuple) or [str(name).lower() for name in names] != [_GPU]:
        yield f"include is {_format_names(names)}"


def _find_gpu_name_problems(selector: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for field in ("include", "exclude"):
        names = selector[field]
        if names is not None and not isinstance(names, list | tuple):
            yield _make_gpu_name_problem(f"{field} is {names!r:.60}, not a list of names", where)
        elif unknown := platform_checks.find_unknown_gpus(names or ()):
            yield _make_gpu_name_problem(f"{field} has unknown GPUs: {_format_names(unknown)}", where)


def _make_gpu_name_problem(what: str, where: str) -> Problem:
    names = ", ".join(platform_rules.GPU_HOURLY_PRICES)
    return Problem(rule="gpu-name", what=what, where=where, fix=f"use names from: {names}", only_on_platform=True)


def _find_exclude_count_problems(selector: Mapping[str, Any], where: str) -> Iterator[Problem]:
    count, limit = len(_read_names(selector["exclude"])), platform_rules.MAX_EXCLUDED_GPUS
    if count > limit:
        yield Problem(
            rule="exclude-count",
            what=f"exclude has {count} entries, more than {limit}",
            where=where,
            fix=f"remove exclude: include has only {_GPU}",
            only_on_platform=True,
        )


def _find_offer_problems(selector: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield a problem when no GPU is left, which the API says with a bare 500 only."""
    if not platform_checks.resolve_gpus(selector):
        faults = [*_list_offer_faults(selector)] or ["include, exclude and max_hourly_price_per_gpu fit none together"]
        yield Problem(
            rule="no-gpu",
            what=f"no GPU is left for the chute: {'; '.join(faults)} (the API ends in a bare 500 without a reason)",
            where=where,
            fix=_TWO_LINES,
            only_on_platform=True,
        )


def _list_offer_faults(selector: Mapping[str, Any]) -> Iterator[str]:
    for name in _read_names(selector["include"]):
        if name.lower() == _GPU and name != _GPU:
            yield f"include is {name!r}, which the API finds only in lower case"
    if _GPU in (name.lower() for name in _read_names(selector["exclude"])):
        yield f"exclude has {_GPU}"
    memory = platform_checks.read_setting("min_vram_gb_per_gpu", selector["min_vram_gb_per_gpu"])
    if isinstance(memory, int) and memory > platform_rules.TEE_GPU_MEMORY_GB:
        yield f"min_vram_gb_per_gpu is {memory}, more than the {platform_rules.TEE_GPU_MEMORY_GB} of {_GPU}"
    price = platform_checks.read_setting("max_hourly_price_per_gpu", selector["max_hourly_price_per_gpu"])
    if isinstance(price, int | float) and price < _PRICE:
        yield f"max_hourly_price_per_gpu is {price!r}, less than the {_PRICE:.2f} of {_GPU}, its price of {_PRICES_DATE}"


def _read_names(names: Any) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _format_names(names: Any) -> str:
    listed = names if isinstance(names, list | tuple) else [names]
    return ", ".join(repr(str(name)[:40]) for name in listed)
