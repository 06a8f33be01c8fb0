"""The parity check of an emulated chute: its calls, their progress, and what happens to its instance meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from chutes_wrappers.cli import output
from chutes_wrappers.cli.module_cords import list_header_names
from chutes_wrappers.core.cord_plan import CordPlan, PlannedCord
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.emulator.deployed_chute import STREAM_SAMPLE_S, DeployedChute
from chutes_wrappers.emulator.records import InstanceRecord
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.host.discovery.documentation_pages import find_embedded_documents
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.service_document import (
    ServiceDocument,
    ServiceDocuments,
    read_service_document,
)
from chutes_wrappers.host.modules.module_checks import NO_RULE
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.http_exchange import send_request
from chutes_wrappers.host.parity.parity_check import Exchange, ParityCheck, find_undeclared_header
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

_TITLE = "Calling every route through the platform and directly at the service"
_HEARTBEAT_S = 3.0
_PORT_CHECK_S = 5.0
_MAX_PARALLEL_CALLS = 4


def build_parity_check(
    facts: ModuleFacts, manifest: Manifest, plan: CordPlan, platform: RunningPlatform, chute: DeployedChute
) -> ParityCheck:
    """Build the check of the cords of ``plan`` that the chute has registered, and of the module's own.

    The specifications are read again at the services, for the direct calls.
    """
    registered_paths = {cord.path for cord in chute.record.cords}
    cords = [cord for cord in plan.cords if cord.internal_path in registered_paths]
    _check_rule_headers(facts, cords)
    ends = _EmulatedEnds(platform, chute)
    client = DirectClient(documents=_read_documents(manifest, chute))
    calls = ExampleCalls(
        cords=cords,
        examples=facts.examples,
        folder=facts.path.parent,
        document_examples=client.build_examples(cords),
        links=client.find_links(cords),
        header_names=lambda cord: list_header_names(facts, cord),
    )
    return ParityCheck(
        calls=calls,
        exchange=Exchange(
            call_platform=ends.call_platform,
            call_service=ends.call_service,
            read_service=lambda request, timeout_s: ends.call_service(request, timeout_s, sample_s=timeout_s),
            build_request=lambda cord, example: replace(
                client.build_request(cord.route, cord.port, example, list_header_names(facts, cord)),
                route=cord.name,
            ),
            is_listening=ends.is_listening,
            restart_service=ends.restart_service,
        ),
        rules=facts.checks,
        module_cords=_list_module_cords(chute, cords),
        # The direct calls use the slots of the chute as well.
        parallel_calls=max(1, min(_MAX_PARALLEL_CALLS, chute.record.concurrency // 2)),
    )


def _list_module_cords(chute: DeployedChute, planned: Collection[PlannedCord]) -> list[tuple[str, str]]:
    """Return the public methods and paths of the cords that the module defines itself, without the tunnel."""
    planned_paths = {cord.internal_path for cord in planned}
    return [
        (cord.public_api_method, cord.public_api_path)
        for cord in chute.record.cords
        if cord.path not in planned_paths and cord.public_api_path and cord.public_api_path != TUNNEL_PATH
    ]


def _check_rule_headers(facts: ModuleFacts, cords: list[PlannedCord]) -> None:
    for cord in cords:
        rule = facts.checks.get(cord.name, NO_RULE)
        if header := find_undeclared_header(cord, rule):
            raise ConfigurationError(
                f"CHUTE_CHECKS: {cord.name} does not declare the header {header}, so no caller of the chute can send it",
                where=str(facts.path),
                next_step="declare it in the route's parameters, or set it for every call with CHUTE_HEADERS",
            )


def run_check(check: ParityCheck) -> None:
    """Run the check and show its progress. Ctrl-C is a KeyboardInterrupt, after which the check has the outcomes so far."""
    with output.Progress(_TITLE, heartbeat_s=_HEARTBEAT_S) as progress, _repeat_line(progress) as set_line:
        check.report_call = lambda number, total, name: set_line(f"calling {number} of {total}: {name}")
        check.run()


@contextlib.contextmanager
def _repeat_line(progress: output.Progress) -> Iterator[Callable[[str], None]]:
    """Yield a function that sets the line of ``progress``, which is added again while a call takes long."""
    is_done, lines = threading.Event(), [""]

    def repeat() -> None:
        while not is_done.wait(_HEARTBEAT_S):
            progress.add_line(lines[0])

    def set_line(line: str) -> None:
        lines[0] = line
        progress.add_line(line)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield set_line
    finally:
        is_done.set()
        thread.join()


def _read_documents(manifest: Manifest, chute: DeployedChute) -> dict[int, ServiceDocuments]:
    """Return the specifications that the services publish now, by port. One that cannot be read is reported."""
    documents = {}
    for port, urls in manifest.source.items():
        if port.isdigit():
            read = [document for url in urls.split() for document in _read_document(chute, int(port), url)]
            documents.update({int(port): ServiceDocuments(read)} if read else {})
    return documents


def _read_document(chute: DeployedChute, port: int, url: str) -> tuple[ServiceDocument, ...]:
    """Return the specification at ``url``, or those inside the page or script there."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return ()
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    response = chute.send_direct(DirectRequest(port=port, method="GET", target=target))
    embedded: tuple[ServiceDocument, ...] = ()
    try:
        if response.problem or response.status != HTTPStatus.OK:
            raise WrapperError(response.problem or f"its response has the status {response.status}")
        embedded = tuple(map(ServiceDocument, find_embedded_documents(response.body.decode("utf-8", "replace"))))
        read_file = make_file_reader(chute, port)
        return (read_service_document(response.body, response.content_type, parts.path or "/", read_file),)
    except WrapperError as error:
        if not embedded:
            output.report(
                f"the direct calls to port {port} are made from the manifest: {target} was not read: {error.what}"
            )
        return embedded


def make_file_reader(chute: DeployedChute, port: int) -> Callable[[str], bytes | None]:
    """Return what reads a file of the service on ``port`` to which its specification refers; None for one that it lacks.

    After a file without a response no other is read: each could take the whole time of a call.
    """
    is_silent = False

    def read_file(path: str) -> bytes | None:
        nonlocal is_silent
        if is_silent:
            return None
        response = chute.send_direct(DirectRequest(port=port, method="GET", target=path))
        is_silent = bool(response.problem)
        return response.body if response.status == HTTPStatus.OK and not is_silent else None

    return read_file


@dataclass
class _EmulatedEnds:
    """Both ends of the calls, and the instance between them: what happens to it is said."""

    platform: RunningPlatform
    chute: DeployedChute
    _instance_id: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call_platform(self, call: PublicCall, timeout_s: float) -> HttpResponse:
        with self._lock:
            self._prepare_instance()
        return send_call(self.platform, self.chute, call, timeout_s)

    def call_service(self, request: DirectRequest, timeout_s: float, sample_s: float = STREAM_SAMPLE_S) -> HttpResponse:
        response = self.chute.send_direct(request, timeout_s, sample_s)
        if response.problem_kind != "occupied":
            return response
        with self._lock:
            self._prepare_instance()
        return self.chute.send_direct(request, timeout_s, sample_s)

    def is_listening(self, port: int) -> bool:
        request = DirectRequest(port=port, method="GET", target="/")
        return self.chute.send_direct(request, _PORT_CHECK_S).problem_kind != "unreachable"

    def restart_service(self, reason: str) -> None:
        with self._lock:
            output.warning(f"{reason}: its instance is replaced, and the check goes on")
            self._replace_instance(reason)

    def _prepare_instance(self) -> None:
        preparation = self.chute.prepare_call()
        for instance in preparation.disabled:
            _warn_about_disabled(instance)
        if self._instance_id and preparation.instance.instance_id != self._instance_id:
            output.warning("the instance ended, and another one was started: the check goes on there")
        self._instance_id = preparation.instance.instance_id
        if preparation.is_occupied:
            output.warning("the instance accepts no other call, because earlier ones do not end: it is replaced")
            self._replace_instance("its calls did not end")

    def _replace_instance(self, reason: str) -> None:
        self.chute.replace_instances(reason)
        self._instance_id = self.chute.prepare_call().instance.instance_id


def _warn_about_disabled(instance: InstanceRecord) -> None:
    output.warning(
        f"on the platform callers would get 429 now: the instance is disabled after {instance.failures} failures in a "
        f"row. The check goes on. The last failure: {instance.last_failure}"
    )


def send_call(platform: RunningPlatform, chute: DeployedChute, call: PublicCall, timeout_s: float) -> HttpResponse:
    """Make a call as a client of the platform; of a stream without an end, read only the beginning."""
    return send_request(
        call.method,
        f"{platform.url}{call.path}",
        timeout_s=timeout_s,
        sample_s=STREAM_SAMPLE_S,
        # The name would be looked up elsewhere: not every resolver knows localhost's subdomains.
        headers={"Host": f"{chute.record.slug}.localhost", "Authorization": f"Bearer {platform.key}"},
        json=None if call.method in BODILESS_METHODS else dict(call.fields),
        params=call.query,
    )
