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
from chutes_wrappers.cli.emulation.emulated_deployment import developer
from chutes_wrappers.cli.emulation.emulated_image import Prepared
from chutes_wrappers.cli.openapi_output import static_routes
from chutes_wrappers.cli.placement_warnings import check_placement
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.core.local_guard import Allowed
from chutes_wrappers.core.manifest import Manifest, merge_static
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import check_names
from chutes_wrappers.host.parity.comparison import Exchange
from chutes_wrappers.host.parity.direct_request import DirectRequest
from chutes_wrappers.host.parity.http_exchange import requested
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis, diagnose, elsewhere
from chutes_wrappers.host.parity.parity_check import Outcome, PublicCall, Rehearsal
from chutes_wrappers.host.staging import staged
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

_CALL_TIMEOUT_S = 610.0
_POLL_S = 0.1
_WATCH_EVERY_S = 1.0
_LOOK_EVERY_S = 5.0
_KEPT_LINES = 2000
# A call that says something is a better example than one that says nothing.
_NO_EXAMPLE = 1000


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
    allowed: Allowed = field(default_factory=Allowed)


def emulate(module: str, options: Options) -> int:
    """Run, call and compare; 1 when a route would fail on the platform. Stays until Ctrl-C unless ``options.check``."""
    facts, username = module_preparation.facts(module), module_preparation.username()
    check_names(facts, username)
    if not facts.manifest_path.exists():
        check_placement(facts)  # before an image is run to make one
    logger.remove()  # the emulator's log is shown here, line by line
    screen = _Screen()
    with contextlib.ExitStack() as stack:
        prepared = stack.enter_context(_prepared(facts, options))
        stage = stack.enter_context(staged(facts, prepared.manifest, username=username))
        described = describe_outside(stage, output.report)
        module_preparation.check_with_platform_rules(facts, described, username)
        user = stack.enter_context(
            developer(
                prepared,
                username,
                module=facts.path,
                port=options.port,
                buildah=options.buildah,
                on_line=screen.line,
                allowed=options.allowed,
            )
        )
        user.build(stage, described, debug=options.debug)
        chute = user.deploy(stage, described)
        _wait_until_active(chute, facts.service_ports, screen)
        return _run(facts, prepared.manifest, user.platform, chute, screen, options)


@contextlib.contextmanager
def _prepared(facts: ModuleFacts, options: Options) -> Iterator[Prepared]:
    if options.no_docker and options.buildah:
        raise ConfigurationError("--buildah builds what Docker runs, and --no-docker leaves Docker out")
    if options.no_docker or not (options.buildah or emulated_image.has_engine(facts)):
        yield emulated_image.on_host(facts)
    else:
        with emulated_image.in_docker(facts) as prepared:
            yield prepared


def _run(
    facts: ModuleFacts,
    manifest: Manifest,
    platform: RunningPlatform,
    chute: DeployedChute,
    screen: _Screen,
    options: Options,
) -> int:
    output.heading("Calling every route, through the platform and at the service itself")
    outcomes = list(_rehearsed(facts, manifest, platform, chute))
    bad = report.report(outcomes, screen.lines, as_json=options.as_json)
    if options.check:
        if options.watch_s:
            _watch(chute, facts.service_ports, screen, options.watch_s)
        return 1 if bad else 0
    _invite(platform, chute, outcomes)
    screen.is_open = True
    code = local_run.until_interrupted(lambda: None)
    return 1 if bad else code


class _Screen:
    """Shows an instance's lines once nothing else is shown, and keeps them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.progress: output.Progress | None = None
        self.is_open = False

    @property
    def lines(self) -> list[str]:
        """Those until now: more come, on the platform's thread, while they are read."""
        return list(self._lines)

    def line(self, line: str) -> None:
        """Take one."""
        self._lines.append(line)
        if self.progress is not None:
            self.progress.line(line)
        elif self.is_open:
            output.log(line)


def _wait_until_active(chute: DeployedChute, ports: Sequence[int], screen: _Screen) -> None:
    found: Diagnosis | None = None
    with output.Progress("Waiting for its first instance") as progress:
        screen.progress = progress
        looked = time.monotonic()
        try:
            while (instance := chute.newest_instance()).state is InstanceState.STARTING:
                time.sleep(_POLL_S)
                if time.monotonic() - looked > _LOOK_EVERY_S:
                    looked = time.monotonic()
                    found = elsewhere(ports, chute.listening()) or found
        finally:
            screen.progress = None
    if instance.state is InstanceState.GONE:
        lines = progress.tail.splitlines()
        raise _would_not_run("the chute would not start on Chutes", instance.ended_because, lines, found)
    output.success(f"the instance is active after {progress.seconds:.1f} s")


def _would_not_run(what: str, because: str, lines: Sequence[str], seen: Diagnosis | None = None) -> WrapperError:
    found = [seen] if seen else diagnose([*lines, *because.splitlines()])
    step = "; ".join(map(str, found)) or "correct what its last lines name"
    return ServiceFailed(what, evidence=because, next_step=step)


def _rehearsed(
    facts: ModuleFacts, manifest: Manifest, platform: RunningPlatform, chute: DeployedChute
) -> Iterator[Outcome]:
    merged, _ = merge_static(manifest, static_routes(facts))
    plan = plan_cords(merged.routes, facts.service_ports[0], expose=facts.expose)
    registered = {cord.path for cord in chute.record.cords}
    planned = [cord for cord in plan.cords if cord.internal_path in registered]
    ours = {cord.internal_path for cord in planned}
    own = [
        (cord.public_api_method, cord.public_api_path)
        for cord in chute.record.cords
        if cord.path not in ours and cord.public_api_path and cord.public_api_path != TUNNEL_PATH
    ]

    def through(call: PublicCall) -> Exchange:
        return requested(
            call.method,
            f"{platform.url}{call.path}",
            timeout_s=_CALL_TIMEOUT_S,
            # The name would be looked up elsewhere: not every resolver knows localhost's subdomains.
            headers={"Host": f"{chute.record.slug}.localhost", "Authorization": f"Bearer {platform.key}"},
            json=dict(call.fields) if call.method != "GET" else None,
            params=call.query,
        )

    yield from Rehearsal(
        cords=planned,
        through=through,
        direct=chute.direct,
        examples=facts.examples,
        folder=facts.path.parent,
        own=own,
    ).outcomes()


def _watch(chute: DeployedChute, ports: Sequence[int], screen: _Screen, watch_s: float) -> None:
    """Look whether the instance and its service last; WrapperError says why they did not."""
    answering = [port for port in ports if not _silence(chute, port)]
    with output.Progress(f"Watching the instance until it has been active for {watch_s:.0f} s") as progress:
        while (instance := chute.newest_instance()).state is InstanceState.ACTIVE:
            for port in answering:
                if silence := _silence(chute, port):
                    because = f"nothing answers on port {port} any more: {silence}"
                    raise _would_not_run("the service did not last", because, screen.lines)
            if time.time() - (instance.active_since or 0.0) > watch_s:
                output.success("the instance is well")
                return
            time.sleep(_WATCH_EVERY_S)
            progress.line("the service answers")
    raise _would_not_run("the instance did not last", instance.ended_because, screen.lines)


def _silence(chute: DeployedChute, port: int) -> str:
    """Why the service in the instance answers no HTTP on ``port``; empty when it does."""
    return chute.direct(DirectRequest(port=port, method="GET", target="/")).problem


def _invite(platform: RunningPlatform, chute: DeployedChute, outcomes: Sequence[Outcome]) -> None:
    output.report(f"Page:   {platform.page_url}")
    output.report(f"Chute:  {platform.chute_url(chute.record)}")
    good = [outcome.call for outcome in outcomes if outcome.verdict.good]
    if good:
        shortest = min(good, key=lambda call: len(str(call.example)) if call.example else _NO_EXAMPLE)
        output.report(f"Try it:  {report.curl(shortest, platform.chute_url(chute.record), platform.key)}")
