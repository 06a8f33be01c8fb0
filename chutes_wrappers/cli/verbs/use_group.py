"""Commands that use a deployed chute."""

from __future__ import annotations

from pathlib import Path

import click

from chutes_wrappers.cli.local_port import check_free_port
from chutes_wrappers.cli.verbs.declarations import allow_host, allow_origin, as_json, chute, flag, module, operand
from chutes_wrappers.cli.verbs.values import FILE, METHOD, PORT_PAIR, TIMEOUT
from chutes_wrappers.cli.verbs.verb import Common, Group, verb
from chutes_wrappers.core.local_guard import parse_allow_list
from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S

# Longer than the platform's limit: its message is better than ours.
_CALL_TIMEOUT_S = API_CALL_LIMIT_S + 10

url = flag("--url URL", help="call the chute at this URL [the platform's]; a chute of --emulate needs its key.")


@verb(title="Call a route", number=16)
@chute
@operand("path", "PATH", ask="Path")
@flag(
    "--data -d JSON",
    help="send this JSON object as the body; @FILE, or @- for standard input.",
    ask="JSON body (Enter: none)",
)
@flag(
    "--form -F NAME=VALUE",
    multiple=True,
    help="add a field to the body, or a file as NAME=@FILE[;type=audio/wav]; repeatable.",
)
@flag("--output -o FILE", FILE, help="write the response to a file, atomically.")
@flag(
    "--timeout SECONDS", TIMEOUT, default=_CALL_TIMEOUT_S, help="fail after so many seconds without data from the chute"
)
@flag("--request -X METHOD", METHOD, help="use this method of the path [POST with a body, else GET].")
@flag("--trace", help="show the platform's events about the call, in place of the response.")
@url
@as_json
def call(
    name: str,
    path: str,
    data: str | None,
    form: tuple[str, ...],
    output: Path | None,
    timeout: float,
    request: str | None,
    trace: bool,
    url: str | None,
    as_json: bool,
) -> int:
    """Call a route of a deployed chute."""
    from chutes_wrappers.cli.commands.call import Options
    from chutes_wrappers.cli.commands.call import call as call_route

    options = Options(
        data=data,
        fields=form,
        file=output,
        url=url,
        method=request,
        is_traced=trace,
        as_json=as_json,
        timeout_s=timeout,
    )
    return call_route(name, path, options)


@verb(title="Verify deployed chute", number=24)
@module
@flag(
    "--timeout SECONDS", TIMEOUT, default=_CALL_TIMEOUT_S, help="fail after so many seconds without data from the chute"
)
@as_json
@click.pass_obj
def verify(common: Common, module: str, timeout: float, as_json: bool) -> int:
    """Call the deployed chute, and compare it with --emulate."""
    from chutes_wrappers.cli.commands.verify import Options
    from chutes_wrappers.cli.commands.verify import verify as verify_module

    return verify_module(module, Options(timeout_s=timeout, yes=common.yes, as_json=as_json))


@verb(title="Forward its API", number=17)
@module
@url
@flag(
    "--listen LOCAL:SERVICE",
    PORT_PAIR,
    multiple=True,
    help="listen on LOCAL for a service's port; repeatable [the services' own ports].",
)
@allow_host
@allow_origin
def forward(
    module: str, url: str | None, listen: tuple[str, ...], allow_host: tuple[str, ...], allow_origin: tuple[str, ...]
) -> int:
    """Serve the original API on 127.0.0.1, until Ctrl-C."""
    for pair in listen:
        check_free_port(int(pair.partition(":")[0]), flag="--listen")
    from chutes_wrappers.cli.commands.forward import forward as forward_services

    return forward_services(module, url=url, listen=listen, allowed=parse_allow_list(allow_host, allow_origin))


GROUP = Group(
    name="use",
    title="Use it",
    verbs=(call, verify, forward),
    examples=(
        ("./deploy.sh --call ocr /ocr -F image_file=@page.png", "upload a file, as with curl"),
        ('./deploy.sh --call ocr /encode -d \'{"text": "SOS"}\' --json', "print the response with its status and time"),
        ("./deploy.sh --verify deploy_ocr --yes", "compare the deployed chute with --emulate"),
        ("./deploy.sh --forward deploy_ocr", "use existing clients and pages unchanged"),
    ),
)
