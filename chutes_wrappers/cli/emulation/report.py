"""The results of a parity check, as people and scripts read them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from chutes_wrappers.cli import output
from chutes_wrappers.cli.emulation.guarded_run import GuardedRun
from chutes_wrappers.cli.emulation.left_out import LeftOut, format_expose, format_left_out
from chutes_wrappers.cli.emulation.pasted_lines import merge_lines
from chutes_wrappers.cli.local_run import build_method_flags
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import Category
from chutes_wrappers.core.overruled_rules import list_overruled
from chutes_wrappers.core.platform_rules import BODILESS_METHODS, NEWEST_PUBLIC_METHODS
from chutes_wrappers.emulator.pod_limits import PROBE_FAILURE
from chutes_wrappers.host.parity.comparison import EVENTS, KINDS, is_readable
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose
from chutes_wrappers.host.parity.outcomes import SERVICE_ENDED, Outcome
from chutes_wrappers.host.parity.refusals import Refusal, list_refusals
from chutes_wrappers.host.platform_api.error_responses import mask_secrets

SOME_NOT_PROVEN = 3
# A call with a body is a better example than one without.
_NO_EXAMPLE_LENGTH = 1000
_COLUMNS = ("route", "encoding", "status", "media type", "bytes", "ms", "verdict")
_MARKS = {"proven": "✓", "not proven": "?", "failing": "✗"}
_MAX_NAMED_ROUTES = 5
_MAX_REFUSALS = 20


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of a check. ``total`` is the number of routes, also of those that were not called before Ctrl-C.

    ``left_out`` are the operations that are not published. ``module_variables`` are the variables with entries that the module
    has, ``exposed`` is its CHUTE_EXPOSE. ``has_tunnel``: the chute has routes that need no check. ``header_variables``
    are those of CHUTE_HEADERS. ``secrets`` are masked in what a service says.
    """

    outcomes: Sequence[Outcome]
    chute: str
    total: int
    left_out: Sequence[LeftOut] = ()
    module_variables: Collection[str] = ()
    exposed: Collection[Category] = ()
    has_tunnel: bool = False
    header_variables: Sequence[str] = ()
    secrets: Sequence[str] = field(default=(), repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many routes there are of each kind; excused ones are counted as not proven."""
        counts: dict[str, int] = {kind: sum(each.verdict.kind == kind for each in self.outcomes) for kind in KINDS}
        return {**counts, "not called": self.total - len(self.outcomes)}

    @property
    def refusals(self) -> list[Refusal]:
        """The refusals of examples by the service."""
        refusals = list_refusals(self.outcomes, self.chute, self.header_variables)
        return [replace(each, words=self.mask(each.words)) for each in refusals]

    def mask(self, text: str) -> str:
        """Return ``text`` without the secrets that a service may have repeated."""
        return mask_secrets(text, self.secrets)

    def compute_exit_code(self, *, is_lenient: bool = False) -> int:
        """Return 1 if a route fails or none is proven, 3 if some are neither proven nor excused, else 0.

        With ``is_lenient`` 3 becomes 0. A cord of the module itself proves nothing of a service that refuses every call. A
        chute that has only the tunnel has no route to prove.
        """
        counts = self.counts
        of_service = [each for each in self.outcomes if each.cord is not None]
        open_ones = [each for each in self.outcomes if each.verdict.kind == "not proven" and not each.is_excused]
        is_refused = bool(of_service and open_ones) and all(each.verdict.kind != "proven" for each in of_service)
        if counts["failing"] or is_refused or (not counts["proven"] and (self.total or not self.has_tunnel)):
            return 1
        return SOME_NOT_PROVEN if (open_ones or counts["not called"]) and not is_lenient else 0


def print_report(report: Report, lines: Sequence[str], *, has_table: bool) -> None:
    """Print the results for people, without their last line. ``lines`` are the instance's log."""
    failed = [outcome for outcome in report.outcomes if outcome.verdict.kind == "failing"]
    has_ended = any(outcome.verdict.message.startswith(SERVICE_ENDED) for outcome in report.outcomes)
    # A general one says that the service has ended: the check knows by which call.
    is_explained = bool(failed) or any(outcome.has_service_failed for outcome in report.outcomes)
    diagnoses = [each for each in diagnose(lines) if not (has_ended and each.is_general)] if is_explained else []
    if has_table and report.outcomes:
        output.print_table(_COLUMNS, [_build_row(outcome) for outcome in report.outcomes])
    _explain(failed, diagnoses, report.mask)
    steps = [*(outcome.fix for outcome in failed), *_explain_not_proven(report)]
    if lines_in_one := merge_lines(steps, report.module_variables):
        output.report_next_step(
            f"an assignment replaces an earlier one of the same variable: paste these in one piece\n{lines_in_one}"
        )


def print_summary(report: Report, *, exit_code: int) -> None:
    """Print the last line: how many routes are proven, not proven and failing, and what is not published."""
    counts = report.counts
    excused = sum(outcome.is_excused for outcome in report.outcomes)
    parts = [
        f"{counts['proven']} proven",
        f"{counts['not proven']} not proven" + (f" ({excused} of them excused)" if excused else ""),
        f"{counts['failing']} failing",
        *([f"{counts['not called']} not called"] if counts["not called"] else []),
    ]
    left_out = format_left_out(report.left_out, report.total, report.exposed)
    line = f"{' · '.join(parts)}{_format_condition(report.outcomes)}{f'; {left_out}' if left_out else ''}"
    if exit_code:
        output.warning(line)
    else:
        output.success(line)


def _format_condition(outcomes: Sequence[Outcome]) -> str:
    newest = sorted({outcome.call.method for outcome in outcomes} & {*NEWEST_PUBLIC_METHODS})
    conditions = [
        *(["accepts what --allow overruled"] if list_overruled() else []),
        *([f"runs the newest version, which accepts public {', '.join(newest)}"] if newest else []),
    ]
    return f", if Chutes {' and '.join(conditions)}" if conditions else ""


def print_json(
    report: Report, guarded: GuardedRun | None, *, exit_code: int, failure: WrapperError | None = None
) -> None:
    """Print the results for scripts; ``guarded`` is None when nothing ran under the guard library.

    ``failure`` is what ended the run after the calls.
    """
    guard = guarded and {"good": not guarded.problem, "problem": guarded.problem, "fix": guarded.fix}
    result = {
        "routes": [_to_json(each) for each in report.outcomes],
        "good": exit_code == 0,
        "exit_code": exit_code,
        "counts": report.counts,
        "left_out": [
            {"count": each.count, "reason": each.reason, "publish": format_expose(each.categories, report.exposed)}
            for each in report.left_out
        ],
        "refusals": [
            {"status": each.status, "routes": each.routes, "service": each.words, "advice": each.advice}
            for each in report.refusals
        ],
        "guard": guard,
        **({"error": failure.to_data()} if failure is not None else {}),
    }
    output.print_json(result, indent=2)


def print_failure(failure: WrapperError) -> None:
    """Print for scripts why no route was called."""
    result = {"routes": [], "good": False, "exit_code": failure.exit_code, "error": failure.to_data()}
    output.print_json(result, indent=2)


def choose_example(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the proven call with a readable response and the shortest example body, else one without a body.

    Without a readable response it is another proven call; None without one.
    """

    def rank(outcome: Outcome) -> tuple[bool, bool, int]:
        length = len(str(outcome.call.example)) if outcome.call.example else _NO_EXAMPLE_LENGTH
        return not is_readable(outcome.response), outcome.response.media_type == EVENTS, length

    called = [outcome for outcome in outcomes if outcome.verdict.is_proven and outcome.response.status == 200]
    return min(called, key=rank, default=None)


def _explain(
    failed: Sequence[Outcome], diagnoses: Sequence[Diagnosis], mask: Callable[[str], str] = lambda text: text
) -> None:
    for outcome in failed:
        output.warning(f"{outcome.name} would fail on Chutes: {outcome.verdict.message}")
        for line in mask(outcome.verdict.evidence).splitlines()[:5]:
            output.log(line)
        if outcome.fix:
            output.report_next_step(outcome.fix)
    for diagnosis in diagnoses:
        output.warning(diagnosis.reason)
        output.report_next_step(diagnosis.fix)


def _explain_not_proven(report: Report) -> list[str]:
    """Say why routes are not proven: what the service said, each of its sentences once, and other reasons. Return the next steps."""
    refusals = report.refusals
    if len(refusals) > _MAX_REFUSALS:
        refusals = sorted(refusals, key=lambda each: -len(each.routes))
    steps = [refusal.advice for refusal in refusals[:_MAX_REFUSALS]]
    for refusal in refusals[:_MAX_REFUSALS]:
        output.warning(refusal.format_title())
        if refusal.words:
            output.log(refusal.words)
        output.report_next_step(refusal.advice)
    if further := refusals[_MAX_REFUSALS:]:
        count = sum(len(each.routes) for each in further)
        output.warning(f"the service gave {len(further)} other reasons for {count} routes: --json lists all of them")
    others: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in report.outcomes:
        has_words = outcome.service_response is not None and outcome.service_response.status >= 400
        if outcome.verdict.kind == "not proven" and not outcome.is_excused and not has_words:
            others.setdefault((outcome.verdict.message, _find_defect(outcome)), []).append(outcome)
    for (message, defect), outcomes in others.items():
        names = [outcome.name for outcome in outcomes]
        rest = f" and {len(names) - _MAX_NAMED_ROUTES} more" if len(names) > _MAX_NAMED_ROUTES else ""
        listed = f"{', '.join(names[:_MAX_NAMED_ROUTES])}{rest}"
        has_ended = message.startswith(SERVICE_ENDED)  # the table says so
        output.warning(f"callers can take the service away with {listed}" if has_ended else f"{listed}: {message}")
        if defect:
            output.log(report.mask(defect))
        steps.append(_suggest_rule(outcomes[0]))
        output.report_next_step(steps[-1])
    return steps


def _find_defect(outcome: Outcome) -> str:
    """Return why the service's response could not be read, such as the limit that it exceeds; empty if that is not why."""
    service = outcome.service_response
    return service.problem if service is not None and service.problem_kind == "broken" else ""


def _suggest_rule(outcome: Outcome) -> str:
    if outcome.verdict.message.startswith(SERVICE_ENDED):
        return f'publish it only if they may; then excuse it: CHUTE_CHECKS = {{"{outcome.name}": {{"skip": "the reason"}}}}'
    service = outcome.service_response
    if service is not None and service.problem_kind == "timeout":
        return f'if it only is slow, give it more seconds: CHUTE_CHECKS = {{"{outcome.name}": {{"timeout": 600}}}}'
    return f'if no example can prove it, excuse it: CHUTE_CHECKS = {{"{outcome.name}": {{"skip": "the reason"}}}}'


def warn_about_probes(lines: Sequence[str]) -> None:
    """Warn about failures of the readiness probe that the emulator has logged in ``lines``."""
    _explain([], diagnose(line for line in lines if PROBE_FAILURE in line))


def _build_row(outcome: Outcome) -> tuple[str, ...]:
    response = outcome.response
    result = response if response.status or outcome.service_response is None else outcome.service_response
    return (
        outcome.name,
        outcome.encoding,
        str(result.status or "-"),
        result.media_type or "-",
        str(len(result.body)),
        f"{result.seconds * 1000:.0f}",
        f"{_MARKS[outcome.verdict.kind]} {outcome.verdict.message}",
    )


def _to_json(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "route": outcome.name,
        "travels": outcome.encoding,
        "status": outcome.response.status,
        "service_status": outcome.service_status,
        "media_type": outcome.response.media_type,
        "bytes": len(outcome.response.body),
        "milliseconds": round(outcome.response.seconds * 1000),
        "good": outcome.verdict.is_proven,
        "kind": outcome.verdict.kind,
        "excused": outcome.is_excused,
        "verdict": outcome.verdict.message,
        "fix": outcome.fix,
    }


def build_curl_command(call: PublicCall, url: str, key: str, *, options: Sequence[str] = ()) -> str:
    """Return a command that sends ``call`` to the chute at ``url``, with more ``options`` of curl."""
    # curl sends a POST with -d.
    method = [] if call.method == "POST" else build_method_flags(call.method)
    argv = ["curl", *options, *method, "-H", f"Authorization: Bearer {key}"]
    if call.method in BODILESS_METHODS:
        query = f"?{urlencode(call.query)}" if call.query else ""
        return shlex.join([*argv, f"{url}{call.path}{query}"])
    body = json.dumps(call.example, ensure_ascii=False)
    return shlex.join([*argv, f"{url}{call.path}", "-H", "Content-Type: application/json", "-d", body])
