"""Commands that deploy a chute, and show objects of the platform."""

from __future__ import annotations

from pathlib import Path

import click

from chutes_wrappers.cli.verbs.declarations import as_json, chute, flag, module
from chutes_wrappers.cli.verbs.make_group import logo, public
from chutes_wrappers.cli.verbs.values import SECONDS, TIMEOUT, make_seconds_value
from chutes_wrappers.cli.verbs.verb import Common, Group, verb
from chutes_wrappers.core.errors import ConfigurationError

_WATCH_INTERVAL_S = 2.0
_MIN_WATCH_INTERVAL_S = 0.2
_WARMUP_TIMEOUT_S = 900.0


@verb(title="Deploy chute", number=6)
@module
@flag("--accept-fee", help="accept the one-time fee of a first deployment.")
@public
@logo
@as_json
@click.pass_obj
def deploy(common: Common, module: str, accept_fee: bool, public: bool, logo: Path | None, as_json: bool) -> int:
    """Deploy the module; build it with --build first."""
    from chutes_wrappers.cli.commands.deploy import deploy_module
    from chutes_wrappers.cli.sdk_upload import UploadOptions

    options = UploadOptions(public=public, logo=logo, debug=common.debug, as_json=as_json)
    return deploy_module(module, options, accept_fee=accept_fee)


@verb(title="Cost", number=13)
@module
@as_json
def cost(module: str, as_json: bool) -> int:
    """Show the cost of a deployment, and per hour."""
    from chutes_wrappers.cli.commands.cost import show_cost

    return show_cost(module, as_json=as_json)


@verb(title="List images", number=1)
@as_json
def list_images(as_json: bool) -> int:
    """List the account's images."""
    from chutes_wrappers.cli.commands import listing

    return listing.list_images(as_json=as_json)


@verb(title="List chutes", number=2)
@as_json
def list_chutes(as_json: bool) -> int:
    """List the account's chutes."""
    from chutes_wrappers.cli.commands import listing

    return listing.list_chutes(as_json=as_json)


@verb(title="Chute status", number=7)
@chute
@flag(
    "--watch [SECONDS]",
    make_seconds_value(_MIN_WATCH_INTERVAL_S),
    flag_value=_WATCH_INTERVAL_S,
    help=f"show a live view until Ctrl-C, updated every so many seconds [{_WATCH_INTERVAL_S:g}].",
    ask="As a live view?",
    ask_default=False,
)
@as_json
def status(name: str, watch: float | None, as_json: bool) -> int:
    """Show a chute's version, routes and instances."""
    if watch is not None:
        from chutes_wrappers.cli.commands import status_watch

        return status_watch.watch(name, every_s=watch, as_json=as_json)
    from chutes_wrappers.cli.commands.status import print_status

    return print_status(name, as_json=as_json)


@verb(title="Logs", number=14)
@chute
@flag("--follow", help="continue until Ctrl-C, also with the next instance.", ask="Follow it?", ask_default=False)
@flag("--instance ID", default="", help="select the instance by the start of its id [the newest].")
@flag("--startup", help="print the output of an instance that did not become active; kept for 4 hours.")
@as_json
def logs(name: str, follow: bool, instance: str, startup: bool, as_json: bool) -> int:
    """Print the log of an instance; it may need an admin API key."""
    from chutes_wrappers.cli.commands.logs import print_logs, print_startup_log

    if startup and follow:
        raise ConfigurationError(
            "--startup is of an instance that has ended, so it cannot be used with --follow",
            next_step="use one of them; --warmup NAME --follow shows an instance while it starts",
        )
    if startup:
        return print_startup_log(name, instance=instance, as_json=as_json)
    return print_logs(name, follow=follow, instance=instance, as_json=as_json)


@verb(title="Warm up", number=15)
@chute
@flag("--wait/--no-wait", default=None, help="wait until an instance is active [--wait].")
@flag(
    "--keep SECONDS",
    SECONDS,
    help="then keep an instance active for so many seconds.",
    ask="Keep it for how many seconds (Enter: the platform decides)",
)
@flag("--follow", help="print what the instance prints while it starts.")
@flag("--timeout SECONDS", TIMEOUT, default=_WARMUP_TIMEOUT_S, help="wait at most so many seconds for an instance")
@as_json
def warmup(name: str, wait: bool | None, keep: float | None, follow: bool, timeout: float, as_json: bool) -> int:
    """Start an instance, and wait until it is active."""
    waits = wait is not False
    if keep is not None and not waits:
        raise ConfigurationError("--keep waits, so it cannot be used with --no-wait", next_step="use one of them")
    if follow and not waits:
        raise ConfigurationError("--follow waits, so it cannot be used with --no-wait", next_step="use one of them")
    from chutes_wrappers.cli.commands.warmup import warm_up

    return warm_up(name, timeout_s=timeout, waits=waits, keep_s=keep or 0.0, follows=follow, as_json=as_json)


@verb(title="Account info", number=9)
@as_json
def account(as_json: bool) -> int:
    """Show balance, payment address and permissions."""
    from chutes_wrappers.cli.commands.listing import show_account

    return show_account(as_json=as_json)


GROUP = Group(
    name="platform",
    title="Deploy and watch it",
    verbs=(deploy, cost, list_images, list_chutes, status, logs, warmup, account),
    examples=(
        ("./deploy.sh --cost deploy_ocr", "show the costs beforehand"),
        ("./deploy.sh --deploy deploy_ocr --accept-fee", "accept the first fee"),
        ("./deploy.sh --warmup ocr --keep 600", "keep an instance for ten minutes"),
        ("./deploy.sh --status ocr --watch", "show a live view"),
        ("./deploy.sh --logs ocr --follow", "print its log until Ctrl-C"),
    ),
)
