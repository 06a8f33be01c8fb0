"""Render a proposal as the source of a deploy module. Pure."""

from __future__ import annotations

import re
from datetime import date

from chutes_wrappers.core.platform_rules import CHUTE_RANGES, TEE_ARGUMENTS, find_fact
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.creation.proposal import Proposal
from chutes_wrappers.host.discovery.credentials import HeaderSuggestion
from chutes_wrappers.host.pricing import find_accepted_price, format_dollars

_CONTROL = re.compile(r"[^\x21-\x7e]")
_LONGEST_PATH = 200
# The SDK's own defaults (SDK chute/base.py), which a module names so that their costs are seen.
_SHUTDOWN_S = 300
_MAX_INSTANCES = 1
_IMAGE_ARGUMENTS = "USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE"
_HEAD = """{docstring}

from chutes.chute import Chute, NodeSelector

from tools.chute_wrappers import (
    build_wrapper_image,
    chutes_username,
    load_route_manifest,
    register_passthrough_routes,
    wait_for_services,
)

USERNAME = chutes_username()
CHUTE_NAME = {name}
CHUTE_TAG = "v1.0.0"
CHUTE_BASE_IMAGE = {image}
SERVICE_PORTS = {ports}
"""
_TAIL = '''
# Routes that discovery cannot find, for example {{"path": "/predict", "method": "POST", "port": {port}, "target_path": "/predict"}}.
CHUTE_STATIC_ROUTES = []

image = build_wrapper_image({arguments})

chute = Chute(
    username=USERNAME,
    name=CHUTE_NAME,
    image=image,
    # Chutes accepts only confidential (TEE) chutes, and only on this GPU; it rejects every other form.
    {placement}
    {costs}
    concurrency=8,
)

register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    """Start the service and wait until it responds."""
    await wait_for_services(SERVICE_PORTS)
'''


def render_module(proposal: Proposal) -> str:
    """Return the source of the module; values that the image defines are not repeated in it."""
    parts = [
        _HEAD.format(
            docstring=_format_docstring(f"{proposal.reference} as a chute."),
            name=_format_string(proposal.name),
            image=_format_string(proposal.reference),
            ports=list(proposal.ports),
        )
    ]
    if proposal.environment:
        parts.append("CHUTE_ENV = {\n")
        parts += [
            f"    {_format_string(key)}: {_format_string(value)},\n"
            for key, value in sorted(proposal.environment.items())
        ]
        parts.append("}\n")
    if proposal.header is not None:
        parts += [f"{line}\n" for line in _build_header_lines(proposal, proposal.header)]
    if proposal.entrypoint:
        parts.append("# The image's command, with a port that is available on an instance.\n")
        parts.append(
            "ENTRYPOINT = [\n" + "".join(f"    {_format_string(word)},\n" for word in proposal.entrypoint) + "]\n"
        )
    arguments = _IMAGE_ARGUMENTS + (", cuda_libraries=True" if proposal.has_cuda_libraries else "")
    parts.append(
        _TAIL.format(
            port=proposal.ports[0],
            placement="\n    ".join(TEE_ARGUMENTS),
            costs="\n    ".join(build_cost_lines()),
            arguments=arguments,
        )
    )
    return "".join(parts)


def _build_header_lines(proposal: Proposal, header: HeaderSuggestion) -> list[str]:
    """Return the line of CHUTE_HEADERS with what to do; a comment if the service has not refused a request."""
    store = f"{NAMES.deploy} --secret {proposal.name} {header.variable}"
    if proposal.refusal is None:
        return [
            "# The service's specification declares credentials. If the service wants them from every caller, remove the '# ':",
            f"# {header.line}",
            f"# Then export {header.variable} ({header.meaning}) here, and store it on the platform: {store}",
        ]
    path = _CONTROL.sub("", proposal.refusal.path)[:_LONGEST_PATH]
    return [
        f"# GET {path} returned {proposal.refusal.status}: the service wants credentials with each request.",
        f"# Export {header.variable} ({header.meaning}) here, and store it on the platform: {store}",
        "# Without the variable the chute does not start. It is never read from CHUTE_ENV, which the image contains.",
        header.line,
    ]


def build_cost_lines() -> list[str]:
    """Return the arguments of a Chute that limit its costs, each after a comment with its cost by the known prices."""
    usd = find_accepted_price({}).usd
    month = date.fromisoformat(f"{find_fact('gpu-name').date}-01").strftime("%B %Y")
    idle = format_dollars(usd * _SHUTDOWN_S / 3600)
    most = format_dollars(usd * _MAX_INSTANCES)
    seconds, instances = (
        "{:g} to {:g}".format(*CHUTE_RANGES[name]) for name in ("shutdown_after_seconds", "max_instances")
    )
    return [
        f"# An instance costs {format_dollars(usd)} an hour (price of {month}; `{NAMES.deploy} --cost` shows the present one).",
        f"# Seconds from the last call to the end of the instance, which cost up to {idle} each time: {seconds}.",
        f"shutdown_after_seconds={_SHUTDOWN_S},",
        f"# At most so many instances at a time, which cost at most {most} an hour: {instances}.",
        f"max_instances={_MAX_INSTANCES},",
    ]


def _format_docstring(value: str) -> str:
    """Return ``value`` as a docstring, with quotes and newlines escaped."""
    return f'""{_format_string(value)}""'


def _format_string(value: str) -> str:
    """Return ``value`` as a Python literal, in double quotes where possible."""
    literal = repr(value)
    return '"' + literal[1:-1] + '"' if literal[0] == "'" and '"' not in literal else literal
