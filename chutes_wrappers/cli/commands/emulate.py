"""``--emulate M``: the chute as the platform would run it, on this machine, and every route of it called once."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from loguru import logger

from chutes_wrappers.cli import local_run, module_preparation, output
from chutes_wrappers.cli.emulation import emulated_image, report
from chutes_wrappers.cli.emulation.emulated_deployment import create_developer
from chutes_wrappers.cli.emulation.emulated_image import PreparedImage
from chutes_wrappers.cli.openapi_output import parse_static_routes
from chutes_wrappers.cli.placement_warnings import check_placement
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.local_guard import AllowList
from chutes_wrappers.core.manifest import Manifest, merge_static_routes
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import check_names
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.direct_request import DirectRequest
from chutes_wrappers.host.parity.http_exchange import send_request
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose, diagnose_ports
from chutes_wrappers.host.parity.parity_check import Outcome, ParityCheck, PublicCall
from chutes_wrappers.host.staging import create_stage
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

_CALL_TIMEOUT_S = 610.0
_POLL_S = 0.1
_WATCH_EVERY_S = 1.0
_DIAGNOSE_EVERY_S = 5.0
_MAX_LOG_LINES = 2000
# A call that says something is a better example than one that says nothing.
_NO_EXAMPLE_LENGTH = 1000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to emulate. ``port`` 0: a free one; ``watch_s``: how long ``check`` sees whether the instance lasts, in seconds.

    ``allowed`` are hosts and origins beside the platform's own.
    """

    no_docker: bool = False
    buildah: bool = False
    check: bool = False
    as_json: bool = False
    debug: bool = False
    port: int = 0
    watch_s: float
    allowed: AllowList = field(default_factory=AllowList)


def emulate(module: str, options: Options) -> int:
    """Run, call and compare; 1 when a route would fail on the platform. Stays until Ctrl-C unless ``options.check``."""
    facts, username = module_preparation.read_facts(module), module_preparation.resolve_username()
    check_names(facts, username)
    if not facts.manifest_path.exists():
        check_placement(facts)  # before an image is run to make one
    logger.remove()  # the emulator's log is shown here, line by line
    screen = _Screen()
    with contextlib.ExitStack() as stack:
        prepared = stack.enter_context(_prepare(facts, options))
        stage = stack.enter_context(create_stage(facts, prepared.manifest, username=username))
        definition = describe_staged_module(stage, output.report)
        module_preparation.check_with_platform_rules(facts, definition, username)
        user = stack.enter_context(
            create_developer(
                prepared,
                username,
                module=facts.path,
                port=options.port,
                buildah=options.buildah,
                on_line=screen.add_line,
                allowed=options.allowed,
            )
        )
        user.build(stage, definition, debug=options.debug)
        chute = user.deploy(stage, definition)
        _wait_until_active(chute, facts.service_ports, screen)
        return _check_and_serve(facts, prepared.manifest, user.platform, chute, screen, options)


@contextlib.contextmanager
def _prepare(facts: ModuleFacts, options: Options) -> Iterator[PreparedImage]:
    if options.no_docker and options.buildah:
        raise ConfigurationError("--buildah builds what Docker runs, and --no-docker leaves Docker out")
    if options.no_docker or not (options.buildah or emulated_image.has_engine(facts)):
        yield emulated_image.prepare_on_host(facts)
    else:
        with emulated_image.prepare_in_docker(facts) as prepared:
            yield prepared


def _check_and_serve(
    facts: ModuleFacts,
    manifest: Manifest,
    platform: RunningPlatform,
    chute: DeployedChute,
    screen: _Screen,
    options: Options,
) -> int:
    output.print_heading("Calling every route, through the platform and at the service itself")
    outcomes = list(_check_parity(facts, manifest, platform, chute))
    bad = report.print_report(outcomes, screen.lines, as_json=options.as_json)
    if options.check:
        if options.watch_s:
            _watch_instance(chute, facts.service_ports, screen, options.watch_s)
        return 1 if bad else 0
    _print_addresses(platform, chute, outcomes)
    screen.is_open = True
    code = local_run.wait_until_interrupted(lambda: None)
    return 1 if bad else code


class _Screen:
    """Shows an instance's lines once nothing else is shown, and keeps them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MAX_LOG_LINES)
        self.progress: output.Progress | None = None
        self.is_open = False

    @property
    def lines(self) -> list[str]:
        """Those until now: more come, on the platform's thread, while they are read."""
        return list(self._lines)

    def add_line(self, line: str) -> None:
        """Take one."""
        self._lines.append(line)
        if self.progress is not None:
            self.progress.add_line(line)
        elif self.is_open:
            output.log(line)


def _wait_until_active(chute: DeployedChute, ports: Sequence[int], screen: _Screen) -> None:
    diagnosis: Diagnosis | None = None
    with output.Progress("Waiting for its first instance") as progress:
        screen.progress = progress
        diagnosed_at = time.monotonic()
        try:
            while (instance := chute.get_newest_instance()).state is InstanceState.STARTING:
                time.sleep(_POLL_S)
                if time.monotonic() - diagnosed_at > _DIAGNOSE_EVERY_S:
                    diagnosed_at = time.monotonic()
                    diagnosis = diagnose_ports(ports, chute.list_listening_ports()) or diagnosis
        finally:
            screen.progress = None
    if instance.state is InstanceState.GONE:
        lines = progress.tail.splitlines()
        raise _make_failure("the chute would not start on Chutes", instance.ended_because, lines, diagnosis)
    output.success(f"the instance is active after {progress.seconds:.1f} s")


def _make_failure(what: str, reason: str, lines: Sequence[str], diagnosis: Diagnosis | None = None) -> WrapperError:
    diagnoses = [diagnosis] if diagnosis else diagnose([*lines, *reason.splitlines()])
    next_step = "; ".join(map(str, diagnoses)) or "correct what its last lines name"
    return ServiceFailed(what, evidence=reason, next_step=next_step)


def _check_parity(
    facts: ModuleFacts, manifest: Manifest, platform: RunningPlatform, chute: DeployedChute
) -> Iterator[Outcome]:
    merged, _ = merge_static_routes(manifest, parse_static_routes(facts))
    plan = plan_cords(merged.routes, facts.service_ports[0], expose=facts.expose)
    registered_paths = {cord.path for cord in chute.record.cords}
    cords = [cord for cord in plan.cords if cord.internal_path in registered_paths]
    planned_paths = {cord.internal_path for cord in cords}
    module_routes = [
        (cord.public_api_method, cord.public_api_path)
        for cord in chute.record.cords
        if cord.path not in planned_paths and cord.public_api_path and cord.public_api_path != TUNNEL_PATH
    ]

    def call_platform(call: PublicCall) -> HttpResponse:
        return send_request(
            call.method,
            f"{platform.url}{call.path}",
            timeout_s=_CALL_TIMEOUT_S,
            # The name would be looked up elsewhere: not every resolver knows localhost's subdomains.
            headers={"Host": f"{chute.record.slug}.localhost", "Authorization": f"Bearer {platform.key}"},
            json=dict(call.fields) if call.method != "GET" else None,
            params=call.query,
        )

    yield from ParityCheck(
        cords=cords,
        call_platform=call_platform,
        call_service=chute.send_direct,
        examples=facts.examples,
        folder=facts.path.parent,
        module_cords=module_routes,
    ).run()


def _watch_instance(chute: DeployedChute, ports: Sequence[int], screen: _Screen, watch_s: float) -> None:
    """Look whether the instance and its service last; WrapperError says why they did not."""
    responding_ports = [port for port in ports if not _find_connection_problem(chute, port)]
    with output.Progress(f"Watching the instance until it has been active for {watch_s:.0f} s") as progress:
        while (instance := chute.get_newest_instance()).state is InstanceState.ACTIVE:
            for port in responding_ports:
                if problem := _find_connection_problem(chute, port):
                    reason = f"nothing answers on port {port} any more: {problem}"
                    raise _make_failure("the service did not last", reason, screen.lines)
            if time.time() - (instance.active_since or 0.0) > watch_s:
                output.success("the instance is well")
                return
            time.sleep(_WATCH_EVERY_S)
            progress.add_line("the service answers")
    raise _make_failure("the instance did not last", instance.ended_because, screen.lines)


def _find_connection_problem(chute: DeployedChute, port: int) -> str:
    """Why the service in the instance answers no HTTP on ``port``; empty when it does."""
    return chute.send_direct(DirectRequest(port=port, method="GET", target="/")).problem


def _print_addresses(platform: RunningPlatform, chute: DeployedChute, outcomes: Sequence[Outcome]) -> None:
    output.report(f"Page:   {platform.page_url}")
    output.report(f"Chute:  {platform.build_chute_url(chute.record)}")
    calls = [outcome.call for outcome in outcomes if outcome.verdict.is_good]
    if calls:
        shortest = min(calls, key=lambda call: len(str(call.example)) if call.example else _NO_EXAMPLE_LENGTH)
        output.report(
            f"Try it:  {report.build_curl_command(shortest, platform.build_chute_url(chute.record), platform.key)}"
        )
