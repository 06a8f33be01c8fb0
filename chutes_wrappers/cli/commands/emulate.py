"""``--emulate M``: the chute on this machine as the platform would run it, with each of its routes called once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from chutes_wrappers.cli import local_run, module_preparation, output
from chutes_wrappers.cli.emulation import emulated_image, report
from chutes_wrappers.cli.emulation.emulated_deployment import Developer, create_developer
from chutes_wrappers.cli.emulation.emulated_image import PreparedImage
from chutes_wrappers.cli.emulation.guarded_run import GuardedRun, GuardedRunTask, run_with_guard
from chutes_wrappers.cli.emulation.left_out import group_skipped
from chutes_wrappers.cli.emulation.parity_run import build_parity_check, run_check, send_call
from chutes_wrappers.cli.emulation.report import SOME_NOT_PROVEN, Report
from chutes_wrappers.cli.emulation.screen import Screen
from chutes_wrappers.cli.module_cords import plan_module_cords
from chutes_wrappers.cli.placement_warnings import check_placement
from chutes_wrappers.core import program
from chutes_wrappers.core.base_images import OLDER_FORGE, Forge, describe_forges, list_refused_targets
from chutes_wrappers.core.cord_plan import CordPlan
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.module_headers import HEADERS_VARIABLE
from chutes_wrappers.core.platform_rules import INSTANCE_DISK_BYTES
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.header_variables import read_instance_secrets
from chutes_wrappers.host.modules.module_checks import check_rule_names, describe_unknown_route
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import check_names
from chutes_wrappers.host.parity.comparison import is_readable
from chutes_wrappers.host.parity.example_calls import ExampleCalls
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose, diagnose_ports
from chutes_wrappers.host.parity.outcomes import Outcome
from chutes_wrappers.host.parity.parity_check import ParityCheck
from chutes_wrappers.host.parity.recording import Recorder
from chutes_wrappers.host.parity.response_record import (
    CordRecord,
    ResponseRecord,
    build_record_path,
    compute_source_hashes,
    write_record,
)
from chutes_wrappers.host.processes import share_libraries
from chutes_wrappers.host.staging import create_stage
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

_RESPONSE_FILE = "response.bin"
# A shorter value is no secret, and masking it would make texts unreadable.
_SHORTEST_SECRET = 4
_POLL_S = 0.1
_WATCH_EVERY_S = 1.0
_DIAGNOSE_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of an emulation. ``port`` 0 is any free port; ``watch_s`` is how many seconds ``check`` watches the instance.

    ``no_guard`` leaves out the run under the guard library. ``keep_cache`` keeps the chute's /cache for the next run. An
    instance that writes more than ``disk_limit_bytes`` elsewhere is evicted. ``keeps_bodies``: the record of the responses
    contains their bodies. ``lenient``: routes that are not proven do not count. ``allowed`` are hosts and origins in addition
    to those of the platform.
    """

    no_docker: bool = False
    no_guard: bool = False
    buildah: bool = False
    forge: Forge = OLDER_FORGE
    keep_cache: bool = False
    disk_limit_bytes: int = INSTANCE_DISK_BYTES
    check: bool = False
    lenient: bool = False
    keeps_bodies: bool = False
    as_json: bool = False
    debug: bool = False
    port: int = 0
    watch_s: float
    allowed: AllowList = field(default_factory=AllowList)


@share_libraries()
def emulate(module: str, options: Options) -> int:
    """Run, call and compare; return ``Report.compute_exit_code``. Waits for Ctrl-C unless ``options.check``.

    With ``options.as_json`` a failure before the calls is printed as an object, too.
    """
    if not options.as_json:
        return _emulate(module, options)
    printed: list[bool] = []
    try:
        return _emulate(module, options, on_json=lambda: printed.append(True))
    except WrapperError as failure:
        if not printed:
            report.print_failure(failure)
        raise


def _emulate(module: str, options: Options, on_json: Callable[[], None] = lambda: None) -> int:
    """Run, call and compare. ``on_json`` is called when the JSON is printed."""
    facts, username = module_preparation.read_facts(module), module_preparation.resolve_username()
    secrets = read_instance_secrets(facts)
    check_names(facts, username)
    if not facts.manifest_path.exists():
        check_placement(facts)  # before an image runs for a discovery
    logger.remove()  # the emulator's log is shown here, line by line
    screen = Screen()
    with contextlib.ExitStack() as stack:
        prepared = stack.enter_context(_prepare(facts, options))
        stage = stack.enter_context(create_stage(facts, prepared.manifest, username=username))
        definition = describe_staged_module(stage, output.report)
        username = module_preparation.select_owner(definition, username)
        module_preparation.check_with_platform_rules(facts, definition, username)
        names = _list_public_names(definition["cords"])
        check_rule_names(facts.checks, names, str(facts.path))
        for name in sorted(facts.examples.keys() - {*names}):
            output.warning(f"CHUTE_EXAMPLES: {describe_unknown_route(name, names)}")
        refused = list_refused_targets(definition["image"]["bases"])
        (output.warning if refused else output.report)(describe_forges(refused))
        user = stack.enter_context(_start_platform(prepared, username, facts, options, screen))
        user.build(stage, definition, debug=options.debug)
        chute = user.deploy(stage, definition, secrets)
        if options.keep_cache:
            cache = prepared.launcher.describe_cache(chute.record.chute_id)
            output.report(f"/cache is kept for the next --emulate with --keep-cache, in {cache}")
        _wait_until_active(chute, facts.service_ports, screen)
        emulation = _Emulation(
            facts=facts,
            manifest=prepared.manifest,
            platform=user.platform,
            chute=chute,
            screen=screen,
            options=options,
            on_json=on_json,
        )
        return _check_and_serve(emulation, has_guard=prepared.docker and not options.no_guard)


def _start_platform(
    prepared: PreparedImage, username: str, facts: ModuleFacts, options: Options, screen: Screen
) -> contextlib.AbstractContextManager[Developer]:
    """Return the platform's user ``username``, while the platform runs. Its log is shown on the ``screen``."""
    return create_developer(
        prepared,
        username,
        module=facts.path,
        port=options.port,
        buildah=options.buildah,
        forge=options.forge,
        disk_limit_bytes=options.disk_limit_bytes,
        on_line=screen.add_line,
        allowed=options.allowed,
    )


def _list_public_names(cords: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{cord['public_api_method']} {cord['public_api_path']}" for cord in cords if cord["public_api_path"]]


@contextlib.contextmanager
def _prepare(facts: ModuleFacts, options: Options) -> Iterator[PreparedImage]:
    if options.no_docker and options.buildah:
        raise ConfigurationError("--buildah cannot be used with --no-docker: Docker runs what buildah builds")
    if options.no_docker or not (options.buildah or emulated_image.has_engine(facts)):
        yield emulated_image.prepare_on_host(facts, keep_cache=options.keep_cache)
    else:
        with emulated_image.prepare_in_docker(facts, keep_cache=options.keep_cache) as prepared:
            yield prepared


@dataclass(frozen=True, kw_only=True)
class _Emulation:
    """A deployed chute whose routes are to be checked. ``on_json`` is called when the JSON is printed."""

    facts: ModuleFacts
    manifest: Manifest
    platform: RunningPlatform
    chute: DeployedChute
    screen: Screen
    options: Options
    on_json: Callable[[], None]


def _check_and_serve(emulation: _Emulation, *, has_guard: bool) -> int:
    """Check all routes, and return the exit code. Without ``check`` in the options, wait for Ctrl-C after that."""
    options, screen, chute = emulation.options, emulation.screen, emulation.chute
    results = _check_routes(emulation)
    code = results.compute_exit_code(is_lenient=options.lenient)
    has_guard = has_guard and code != 1  # a failed check has more to correct first
    _check_instance(emulation, results, code, has_guard=has_guard)
    if options.check:
        return code
    if has_guard:
        _restore_instance(chute, emulation.facts.service_ports, screen)
    _print_addresses(emulation.platform, chute, results.outcomes)
    screen.is_open = True
    return local_run.wait_until_interrupted(lambda: None) or (code if code != SOME_NOT_PROVEN else 0)


def _check_routes(emulation: _Emulation) -> Report:
    """Call all routes, print their results without the last line, and record the responses. After Ctrl-C print those so far."""
    facts, chute, options = emulation.facts, emulation.chute, emulation.options
    plan = plan_module_cords(facts, emulation.manifest, {cord.path for cord in chute.record.cords})
    check = build_parity_check(facts, emulation.manifest, plan, emulation.platform, chute)
    try:
        run_check(check)
    except KeyboardInterrupt:
        emulation.on_json()
        _print_interrupted(_build_report(emulation, check, plan), as_json=options.as_json)
        raise
    results = _build_report(emulation, check, plan)
    report.print_report(results, emulation.screen.lines, has_table=not options.as_json)
    with output.show_status("Recording the responses for --verify"):
        _save_record(facts, emulation.manifest, chute, check.calls, results.outcomes, keeps_bodies=options.keeps_bodies)
    return results


def _build_report(emulation: _Emulation, check: ParityCheck, plan: CordPlan) -> Report:
    return Report(
        outcomes=check.list_outcomes(),
        chute=emulation.facts.chute_name,
        total=check.total,
        left_out=group_skipped([*emulation.manifest.skipped, *plan.skipped]),
        module_variables=_list_variables(emulation.facts),
        exposed=emulation.facts.expose,
        has_tunnel=any(cord.public_api_path == TUNNEL_PATH for cord in emulation.chute.record.cords),
        header_variables=emulation.facts.headers.variables,
        secrets=_list_secrets(emulation.facts),
    )


def _list_variables(facts: ModuleFacts) -> list[str]:
    """Return the variables of the module that lines to paste could replace."""
    values = {
        "CHUTE_EXAMPLES": facts.examples,
        "CHUTE_CHECKS": facts.checks,
        "CHUTE_STATIC_ROUTES": facts.static_routes,
        HEADERS_VARIABLE: facts.headers,
    }
    return [name for name, value in values.items() if value]


def _check_instance(emulation: _Emulation, results: Report, code: int, *, has_guard: bool) -> None:
    """Watch the instance, call it under the guard library, and print the JSON and the last line, also after a failure.

    ``code`` is the exit code by the results. Raises WrapperError if the instance does not keep running.
    """
    options, chute, screen = emulation.options, emulation.chute, emulation.screen
    guarded: GuardedRun | None = None
    failure: WrapperError | None = None
    try:
        if options.check and options.watch_s:
            _watch_instance(chute, emulation.facts.service_ports, screen, options.watch_s)
            report.warn_about_probes(screen.lines)
        if has_guard:
            guarded = _run_with_guard(emulation.platform, chute, results.outcomes, screen)
    except WrapperError as error:
        failure, code = error, error.exit_code
        raise
    finally:
        if options.as_json:
            emulation.on_json()
            report.print_json(results, guarded, exit_code=code, failure=failure)
        report.print_summary(results, exit_code=code)


def _list_secrets(facts: ModuleFacts) -> list[str]:
    """Return the values that the calls send and a service may repeat in an error."""
    variables = (os.environ.get(name, "") for name in facts.headers.variables)
    rules = (value for rule in facts.checks.values() for value in rule.headers.values())
    return [value for value in (*variables, *rules) if len(value) >= _SHORTEST_SECRET]


def _print_interrupted(results: Report, *, as_json: bool) -> None:
    """Print the results of a check that Ctrl-C ended."""
    if as_json:
        report.print_json(results, None, exit_code=output.INTERRUPTED)
    else:
        report.print_report(results, [], has_table=True)
    report.print_summary(results, exit_code=output.INTERRUPTED)


def _save_record(
    facts: ModuleFacts,
    manifest: Manifest,
    chute: DeployedChute,
    calls: ExampleCalls,
    outcomes: Sequence[Outcome],
    *,
    keeps_bodies: bool,
) -> None:
    """Write the record for ``--verify`` beside the manifest. A failure is a warning: it does not concern the chute."""
    if program.IS_INSTALLED and facts.path.is_relative_to(program.PROJECT_FILES):
        return  # nothing is written below an installed package
    path, names = build_record_path(facts), CordRecord.model_fields
    try:
        hashes = compute_source_hashes(facts, manifest)
        record = ResponseRecord(
            module=hashes["module"],
            manifest=hashes["manifest"],
            cords=tuple(CordRecord(**{name: getattr(cord, name) for name in names}) for cord in chute.record.cords),
            routes=tuple(Recorder(chute.send_direct, keeps_bodies=keeps_bodies).record(outcomes)),
            examples=calls.list_recorded_examples({each.name: each.call.example for each in outcomes}),
            links={name: tuple(sources) for name, sources in calls.links.items()},
        )
        write_record(record, path)
    except (WrapperError, OSError) as error:
        reason = error.what if isinstance(error, WrapperError) else error.strerror or type(error).__name__
        output.warning(f"the record for --verify was not written: {path} {reason}")
        output.report_next_step("correct that, and run --emulate again before --verify")
        return
    if keeps_bodies:
        output.report(f"the record for --verify contains the responses: {path}")


def _run_with_guard(
    platform: RunningPlatform, chute: DeployedChute, outcomes: Sequence[Outcome], screen: Screen
) -> GuardedRun | None:
    task = GuardedRunTask(
        chute=chute,
        proven=report.choose_example(outcomes),
        send_call=lambda call, timeout_s: send_call(platform, chute, call, timeout_s),
        longest_start_s=chute.measure_longest_start_s(),
        has_engine=emulated_image.is_engine_reachable,
    )
    return run_with_guard(task, screen)


def _restore_instance(chute: DeployedChute, ports: Sequence[int], screen: Screen) -> None:
    """Start an instance without the guard library again, and forget the other's log."""
    chute.replace_instances("the run under the guard library has ended")
    screen.clear()
    _wait_until_active(chute, ports, screen, "Waiting for an instance without the guard library")


def _wait_until_active(
    chute: DeployedChute, ports: Sequence[int], screen: Screen, title: str = "Waiting for its first instance"
) -> None:
    diagnosis: Diagnosis | None = None
    with screen.show_progress(title) as progress:
        diagnosed_at = time.monotonic()
        while (instance := chute.get_newest_instance()).state is InstanceState.STARTING:
            time.sleep(_POLL_S)
            if time.monotonic() - diagnosed_at > _DIAGNOSE_EVERY_S:
                diagnosed_at = time.monotonic()
                diagnosis = diagnose_ports(ports, chute.list_listening_ports()) or diagnosis
    if instance.state is InstanceState.GONE:
        lines = progress.tail.splitlines()
        raise _make_failure("the chute would not start on Chutes", instance.ended_because, lines, diagnosis)
    output.success(f"the instance is active after {progress.seconds:.1f} s")


def _make_failure(what: str, reason: str, lines: Sequence[str], diagnosis: Diagnosis | None = None) -> WrapperError:
    diagnoses = [diagnosis] if diagnosis else diagnose([*lines, *reason.splitlines()])
    next_step = "; ".join(map(str, diagnoses)) or "fix the error in its last lines"
    return ServiceFailed(what, evidence=reason, next_step=next_step)


def _watch_instance(chute: DeployedChute, ports: Sequence[int], screen: Screen, watch_s: float) -> None:
    """Watch that the instance and its service keep running. Raises WrapperError with the reason if they do not."""
    responding_ports = [port for port in ports if not _find_connection_problem(chute, port)]
    with output.Progress(f"Watching the instance until it has been active for {watch_s:.0f} s") as progress:
        while (instance := chute.get_newest_instance()).state is InstanceState.ACTIVE:
            for port in responding_ports:
                if problem := _find_connection_problem(chute, port):
                    reason = f"port {port} no longer responds: {problem}"
                    raise _make_failure("the service did not keep running", reason, screen.lines)
            if time.time() - (instance.active_since or 0.0) > watch_s:
                output.success("the instance stayed healthy")
                return
            time.sleep(_WATCH_EVERY_S)
            progress.add_line("the service responds")
    raise _make_failure("the instance did not keep running", instance.ended_because, screen.lines)


def _find_connection_problem(chute: DeployedChute, port: int) -> str:
    """Return why the service in the instance does not respond to HTTP on ``port``; empty if it does."""
    return chute.send_direct(DirectRequest(port=port, method="GET", target="/")).problem


def _print_addresses(platform: RunningPlatform, chute: DeployedChute, outcomes: Sequence[Outcome]) -> None:
    output.report(f"Page:   {platform.page_url}")
    output.report(f"Chute:  {platform.build_chute_url(chute.record)}")
    example = report.choose_example(outcomes)
    if example is None:
        output.report("No call was proven, so no call is shown")
        return
    options = () if is_readable(example.response) else ("--output", _RESPONSE_FILE)
    command = report.build_curl_command(
        example.call, platform.build_chute_url(chute.record), platform.key, options=options
    )
    output.report(f"Try it:  {command}")
