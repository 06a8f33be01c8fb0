"""``--verify M``: the routes of the deployed chute whose calls succeeded under ``--emulate``, called and compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from chutes_wrappers.cli import module_preparation, output, prompts, sdk_upload, verify_report
from chutes_wrappers.cli.commands.warmup import warm_up
from chutes_wrappers.cli.module_cords import list_header_names, plan_module_cords
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S
from chutes_wrappers.host.account.api_key import require_api_key
from chutes_wrappers.host.calling.call_failures import build_call_error
from chutes_wrappers.host.calling.sending import CallResponse, build_upload, send_call
from chutes_wrappers.host.calling.target import Target
from chutes_wrappers.host.deployed_module import check_is_deployed
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress, parse_deployed_address
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.deployed_check import CallResult, DeployedCheck, RouteResult
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.response_record import ResponseRecord, load_record
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.api_urls import build_chute_url
from chutes_wrappers.host.platform_api.lookup import ChuteName, add_listed_cords, get_own_chute
from chutes_wrappers.host.platform_api.objects import ChuteInfo

# As long as --warmup waits by default.
_WARMUP_TIMEOUT_S = 900.0
# Of a stream that may have no end.
_STREAM_SAMPLE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """``timeout_s`` limits each wait for data of a call. ``yes``: ask nothing."""

    timeout_s: float
    yes: bool = False
    as_json: bool = False


def verify(module: str, options: Options) -> int:
    """Return 0 if at least one route was called, and the response of each called one is as the record says.

    Raises WrapperError otherwise, and ConfigurationError without a record of this module and manifest.
    """
    facts = module_preparation.read_facts(module)
    manifest = sdk_upload.require_manifest(facts)
    record, key = load_record(facts, manifest), require_api_key()
    calls = _plan_calls(facts, manifest, record)
    with api_client.connect() as api:
        chute = _find_chute(api, facts, manifest, record)
        address = parse_deployed_address(build_chute_url(chute, api.url), key)
    check = DeployedCheck(
        calls=calls,
        record=record,
        send=lambda call, is_cut: _send(address, call, chute.name, options.timeout_s, is_cut=is_cut),
    )
    check.check_examples()
    count = len(check.list_cords())
    if count:
        _confirm(chute, address, count, yes=options.yes)
        if not chute.hot:
            warm_up(str(facts.path), timeout_s=_WARMUP_TIMEOUT_S, as_json=False)
    results = [*_run(check, f"Calling {chute.name} at {address.url}"), *check.list_not_called()]
    return verify_report.report_results(results, chute, address, as_json=options.as_json)


def _plan_calls(facts: ModuleFacts, manifest: Manifest, record: ResponseRecord) -> ExampleCalls:
    registered_paths = {cord.path for cord in record.cords}
    planned = plan_module_cords(facts, manifest, registered_paths).cords
    cords = [cord for cord in planned if cord.internal_path in registered_paths]
    return ExampleCalls(
        cords=cords,
        examples=facts.examples,
        folder=facts.path.parent,
        document_examples=record.examples,
        links=record.links,
        header_names=lambda cord: list_header_names(facts, cord),
    )


def _find_chute(api: PlatformApi, facts: ModuleFacts, manifest: Manifest, record: ResponseRecord) -> ChuteInfo:
    """Return the account's chute of this module. Raises WrapperError if it is disabled, not deployed, or another version."""
    chute = add_listed_cords(api, get_own_chute(api, ChuteName(text=facts.chute_name, is_of_module=True)))
    check_is_deployed(api, chute, facts, manifest, record.cords)
    if chute.is_disabled:
        raise WrapperError(f"{chute.name} is disabled", next_step=f"enable it with --enable {chute.name}")
    return chute


def _confirm(chute: ChuteInfo, address: ChuteAddress, count: int, *, yes: bool) -> None:
    calls = f"{count} call{'s' if count != 1 else ''}, one at a time, to {address.url}"
    instance = "" if chute.hot else f". {chute.name} is cold, so an instance is started first, which is billed as well"
    output.report(f"This sends {calls}. Calls are billed{instance}")
    if not yes:
        prompts.require_confirmation(
            f"Call {chute.name} now?", subject=calls, refusal=f"{chute.name} was not called", command="--verify"
        )


def _run(check: DeployedCheck, title: str) -> Iterator[RouteResult]:
    cords = check.list_cords()
    if not cords:
        return
    with output.Progress(title) as progress:
        for cord, result in zip(cords, check.run(), strict=True):
            progress.add_line(f"{cord.public_method} {cord.public_path}: {result.kind}")
            yield result


def _read_beginning(response: CallResponse) -> bytes:
    body, deadline = bytearray(), 0.0
    for piece in response.pieces:
        deadline = deadline or time.monotonic() + _STREAM_SAMPLE_S
        body += piece
        if time.monotonic() > deadline:
            break
    return bytes(body)


def _send(address: ChuteAddress, call: PublicCall, name: str, timeout_s: float, *, is_cut: bool = False) -> CallResult:
    """Send one call, and return its response, or why it failed. Errors name the chute ``name``.

    ``is_cut``: the response is a stream that may have no end, of which only the beginning is read.
    """
    query = f"?{urlencode(call.query)}" if call.query else ""
    target = Target(method=call.method, path=f"{call.path}{query}")
    started_at, limit_s = time.monotonic(), max(timeout_s, API_CALL_LIMIT_S)
    try:
        sending = send_call(address, target, build_upload(call.fields), timeout_s=timeout_s, limit_s=limit_s)
        with sending as response:
            body = _read_beginning(response) if is_cut else response.read()
    except WrapperError as error:
        nothing = HttpResponse(status=0, seconds=time.monotonic() - started_at)
        return CallResult(
            response=nothing, problem=error.what, evidence=error.evidence or "", next_step=error.next_step or ""
        )
    result = HttpResponse(
        status=response.status,
        content_type=response.content_type,
        body=body,
        seconds=time.monotonic() - started_at,
    )
    if response.status == HTTPStatus.OK:
        return CallResult(response=result)
    failure = build_call_error(
        response.status,
        body,
        name=name,
        where=f"{call.method} {address.url}{call.path}",
        key=address.key,
        invocation_id=response.invocation_id,
    )
    is_refusal = response.status == HTTPStatus.BAD_REQUEST  # of a body that was right under --emulate
    return CallResult(
        response=result,
        problem=f"status 200 became {response.status}",
        evidence=f"{failure.what}\n{failure.evidence}",
        next_step=f"find the reason with --logs {name}" if is_refusal else failure.next_step or "",
    )
