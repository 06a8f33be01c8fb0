"""The emulator's command: ``tools/emulator.py``, or ``python -m chutes_wrappers.emulator`` in the checkout.

It serves the platform until Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from loguru import logger

from chutes_wrappers.core.base_images import OLDER_FORGE, Forge
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.local_guard import parse_allow_list
from chutes_wrappers.core.overruled_rules import check_rule, list_overruled, record_overruled
from chutes_wrappers.core.platform_rules import INSTANCE_DISK_BYTES
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.sizes import parse_gib
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.docker_launcher import DockerLauncher
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS, Staleness
from chutes_wrappers.host.container_engine.docker_engine import connect


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal, and return the exit code."""
    options = _parse_options(arguments)
    stop = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stop.set())
    try:
        settings = _build_settings(options)
        with contextlib.ExitStack() as stack:
            stack.enter_context(record_overruled(options.allow, _report_overruled))
            stack.callback(_report_all_overruled)
            platform = stack.enter_context(run_platform(settings, _open_launcher(settings, stack)))
            if options.config is not None:
                account = _write_config(platform, options)
                logger.info(
                    "With CHUTES_CONFIG_PATH={} the chutes command uses the account {}",
                    options.config,
                    account.username,
                )
                logger.info(
                    "The section [emulator] of that file contains the page's URL and the registration token for users."
                )
            else:
                logger.info(
                    "Without --config FILE no user can register, and the page cannot be opened. Start again with --config FILE."
                )
            logger.info("the emulator is ready at {}", platform.url)
            stop.wait()
    except WrapperError as failure:
        logger.error("{}", failure)
        return failure.exit_code
    return 0


def _build_settings(options: argparse.Namespace) -> Settings:
    return Settings(
        folder=options.folder,
        port=options.port,
        docker=not options.no_docker,
        buildah=options.buildah,
        forge=options.forge,
        staleness=PLATFORM_STALENESS if options.stale else Staleness(),
        new_accounts=NewAccounts(balance=options.balance),
        allowed=parse_allow_list(options.allow_host, options.allow_origin),
        disk_limit_bytes=options.disk_limit,
    )


def _report_overruled(rule: str, reason: str) -> None:
    logger.warning("rule {} was overruled: {}", rule, reason)


def _report_all_overruled() -> None:
    for rule in list_overruled():
        logger.warning("rule {} was overruled: not proven", rule)


def _write_config(platform: RunningPlatform, options: argparse.Namespace) -> accounts.Account:
    path, token = options.config, platform.registration.token
    if path.exists() and platform.state.users.find_by_hotkey(accounts.read_config(path).hotkey) is None:
        raise ConfigurationError(
            f"the emulator in {options.folder} does not know the account in this file",
            where=str(path),
            next_step="set --config to another file, or --folder to the folder in which that account was registered",
        )
    emulator_section = {"registration_token": token, "page": platform.page_url}
    return accounts.ensure_config(platform.url, options.username, options.config, token, emulator_section)


def _open_launcher(settings: Settings, stack: contextlib.ExitStack) -> Launcher:
    if not settings.docker:
        return HostLauncher(cache_root=settings.folder / "cache")
    engine = stack.enter_context(contextlib.closing(connect(logger.info)))
    return DockerLauncher(engine, logger.info, cache_owner=settings.folder)


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid port: give 0 to 65535")
    return int(text)


def _parse_gib(text: str) -> int:
    try:
        return parse_gib(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid size: give GiB above 0, such as 10") from None


def _parse_rule(text: str) -> str:
    try:
        return check_rule(text)
    except ConfigurationError as unknown:
        raise argparse.ArgumentTypeError(f"{unknown.what}. {unknown.next_step}") from unknown


def _parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=NAMES.emulator, description="Run an emulated Chutes platform on this machine")
    parser.add_argument("--folder", type=Path, required=True, help="the folder for its state")
    parser.add_argument(
        "--port", type=_parse_port, metavar="PORT", default=0, help="the port on 127.0.0.1; 0 selects a free one"
    )
    parser.add_argument("--no-docker", action="store_true", help="do not build images, and run instances as processes")
    parser.add_argument(
        "--buildah", action="store_true", help="build with buildah, as the platform does; this is slower"
    )
    parser.add_argument(
        "--forge",
        choices=get_args(Forge),
        default=OLDER_FORGE,
        help="act as the platform's older forge (local), or as its newer one (remote), which takes only parachutes/* as base",
    )
    parser.add_argument(
        "--allow",
        action="append",
        type=_parse_rule,
        metavar="RULE",
        default=[],
        help="accept what this rule of the platform rejects; repeatable",
    )
    parser.add_argument(
        "--stale",
        action="store_true",
        help="serve old responses as long as the platform: chutes not found for 30 s, deleted keys, logs without an end",
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="write a temporary account to this file, for CHUTES_CONFIG_PATH, with the page's URL and a registration token",
    )
    parser.add_argument("--username", default="emulated", help="the username of that account")
    parser.add_argument(
        "--balance", type=float, default=NewAccounts.balance, help="the balance of a new user, in dollars"
    )
    parser.add_argument(
        "--disk-limit",
        type=_parse_gib,
        metavar="GIB",
        default=INSTANCE_DISK_BYTES,
        help="evict an instance that writes more than this outside of /cache [10]",
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], help="accept requests for this host name; repeatable"
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], help="accept requests from pages of this origin; repeatable"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
