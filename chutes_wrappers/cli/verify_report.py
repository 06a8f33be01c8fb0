"""The results of ``--verify``, as people and scripts read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress
from chutes_wrappers.host.parity.deployed_check import (
    MAX_FAILURES_IN_A_ROW,
    STOP_REASON,
    ResultKind,
    RouteResult,
    count_results,
)
from chutes_wrappers.host.platform_api.error_responses import mask_secrets
from chutes_wrappers.host.platform_api.objects import ChuteInfo

_COLUMNS = ("route", "status", "media type", "bytes", "ms", "result")
_MAX_EVIDENCE_LINES = 5
_LONGEST_MESSAGE = 400
_LONGEST_CONTENT_TYPE = 200


def report_results(results: Sequence[RouteResult], chute: ChuteInfo, address: ChuteAddress, *, as_json: bool) -> int:
    """Print the results; return 0 if at least one route was called, and all called ones match. Raises WrapperError otherwise."""
    results = [_mask_key(result, address.key or "") for result in results]
    counts = count_results(results)
    called = len(results) - counts["not called"]
    is_good = called == counts["equal"] > 0
    if as_json:
        output.print_json(_to_json(results, chute, address, is_good=is_good), indent=2)
    elif called:
        output.print_table(_COLUMNS, [_build_row(result) for result in results if result.response is not None])
    _explain(results)
    summary = (
        f"Of {len(results)} route{'s' if len(results) != 1 else ''}, {called} called: {counts['equal']} equal, "
        f"{counts['different']} different, {counts['failed']} failed; {counts['not called']} not called"
    )
    if not is_good:
        raise _build_error(summary, chute, counts, called=called)
    output.success(f"{chute.name} responds as under --emulate. {summary}")
    return 0


def _mask_key(result: RouteResult, key: str) -> RouteResult:
    """Return ``result`` with texts that may be shown: a chute could return the key of its caller."""
    message, response = mask_secrets(clean_text(result.message), (key,))[:_LONGEST_MESSAGE], result.response
    if response is not None:
        content_type = mask_secrets(clean_text(response.content_type), (key,))[:_LONGEST_CONTENT_TYPE]
        response = replace(response, content_type=content_type)
    return replace(result, message=message, response=response, evidence=mask_secrets(result.evidence, (key,)))


def _explain(results: Sequence[RouteResult]) -> None:
    for result in results:
        if result.kind in ("different", "failed"):
            output.warning(f"{result.name} {'failed' if result.kind == 'failed' else 'differs'}: {result.message}")
            for line in result.evidence.splitlines()[:_MAX_EVIDENCE_LINES]:
                output.log(line)
            if result.next_step:
                output.report_next_step(result.next_step)
    if left := sum(result.message == STOP_REASON for result in results):
        output.warning(f"stopped after {MAX_FAILURES_IN_A_ROW} failures in a row: {left} more to call")
    names_by_reason: dict[str, list[str]] = {}
    for result in results:
        if result.kind == "not called":
            names_by_reason.setdefault(result.message, []).append(result.name)
    if names_by_reason:
        count = sum(map(len, names_by_reason.values()))
        reasons = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items())
        output.report(f"{count} route{'s' if count != 1 else ''} not called: {reasons}")


def _build_error(summary: str, chute: ChuteInfo, counts: Mapping[ResultKind, int], *, called: int) -> WrapperError:
    if counts["failed"] and not counts["different"]:
        step = "follow the step of each failed call above, then run --verify again"
        return WrapperError(f"{chute.name} does not respond as under --emulate. {summary}", next_step=step)
    if called:
        step = f"compare with --logs {chute.name} and --status {chute.name}; a changed service needs a new --build and --deploy"
        return WrapperError(f"{chute.name} does not respond as under --emulate. {summary}", next_step=step)
    step = "give the routes examples in CHUTE_EXAMPLES with which they succeed, then run --emulate with --check again"
    return WrapperError(f"nothing is proven about {chute.name}. {summary}", next_step=step)


def _build_row(result: RouteResult) -> tuple[str, ...]:
    response = result.response
    assert response is not None
    return (
        f"{result.name}{' (stream)' if result.stream else ''}",
        str(response.status or "-"),
        response.media_type or "-",
        str(len(response.body)),
        f"{response.seconds * 1000:.0f}",
        f"{'✓' if result.kind == 'equal' else '✗'} {result.message}",
    )


def _to_json(
    results: Sequence[RouteResult], chute: ChuteInfo, address: ChuteAddress, *, is_good: bool
) -> Mapping[str, Any]:
    return {
        "chute_id": chute.chute_id,
        "name": chute.name,
        "version": chute.version,
        "url": address.url,
        "good": is_good,
        **{kind.replace(" ", "_"): count for kind, count in count_results(results).items()},
        "stopped_early": any(each.message == STOP_REASON for each in results),
        "routes": [_route_to_json(result) for result in results],
    }


def _route_to_json(result: RouteResult) -> Mapping[str, Any]:
    response = result.response
    return {
        "route": result.name,
        "stream": result.stream,
        "result": result.kind,
        "reason": result.message,
        "status": response.status if response is not None else None,
        "media_type": response.media_type if response is not None else None,
        "bytes": len(response.body) if response is not None else None,
        "milliseconds": round(response.seconds * 1000) if response is not None else None,
    }
