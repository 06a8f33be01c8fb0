"""Commands that try a chute on this machine."""

from __future__ import annotations

from typing import get_args

import click

from chutes_wrappers.cli.local_port import check_free_port
from chutes_wrappers.cli.verbs.declarations import allow_host, allow_origin, as_json, flag, module
from chutes_wrappers.cli.verbs.values import GIB, PORT, SECONDS
from chutes_wrappers.cli.verbs.verb import Common, Group, verb
from chutes_wrappers.core.base_images import OLDER_FORGE, Forge
from chutes_wrappers.core.local_guard import parse_allow_list
from chutes_wrappers.core.platform_rules import CHUTE_PORT, INSTANCE_DISK_BYTES

# Most services that fail soon after their start fail within this time, so --check watches for so long.
WATCH_S = 40.0


@verb(title="Emulate", number=12)
@module
@flag(
    "--check",
    help="end after the calls; exit code 1 if one fails or none is proven, 3 if some are not.",
    ask="End after one call of every route?",
    ask_default=True,
)
@flag("--lenient", help="with --check: exit code 0 also if some routes are not proven.")
@flag(
    "--watch [SECONDS]",
    SECONDS,
    default=WATCH_S,
    flag_value=WATCH_S,
    help="with --check: require the instance to run for so many seconds",
)
@flag("--no-docker", help="run the service here, with the module's HOST_ENTRYPOINT.")
@flag("--no-guard", help="leave out the run under the platform's guard library.")
@flag("--buildah", help="build with buildah, as the platform does; slower.")
@flag(
    "--forge FORGE",
    click.Choice(get_args(Forge)),
    default=OLDER_FORGE,
    help="build as the older forge (local), or the newer (remote) [local].",
)
@flag("--keep-cache", help="keep /cache for the next run with this flag.")
@flag("--keep-bodies", help="record the responses too, so that --verify names what differs.")
@flag("--disk-limit GIB", GIB, help="what an instance may write outside of /cache [10].")
@flag("--port PORT", PORT, help="serve page and chute on this port [a free one].")
@allow_host
@allow_origin
@as_json
@click.pass_obj
def emulate(
    common: Common,
    module: str,
    check: bool,
    lenient: bool,
    watch: float,
    no_docker: bool,
    no_guard: bool,
    buildah: bool,
    forge: Forge,
    keep_cache: bool,
    keep_bodies: bool,
    disk_limit: int | None,
    port: int | None,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run the chute as on Chutes, and call every route once."""
    if port is not None:
        check_free_port(port)
    from chutes_wrappers.cli.commands.emulate import Options
    from chutes_wrappers.cli.commands.emulate import emulate as emulate_module

    options = Options(
        watch_s=watch,
        no_docker=no_docker,
        no_guard=no_guard,
        buildah=buildah,
        forge=forge,
        keep_cache=keep_cache,
        keeps_bodies=keep_bodies,
        disk_limit_bytes=disk_limit or INSTANCE_DISK_BYTES,
        check=check,
        lenient=lenient,
        as_json=as_json,
        debug=common.debug,
        port=port or 0,
        allowed=parse_allow_list(allow_host, allow_origin),
    )
    return emulate_module(module, options)


@verb(title="Run in Docker (GPU)", number=4)
@module
@allow_host
@allow_origin
def run_docker(module: str, allow_host: tuple[str, ...], allow_origin: tuple[str, ...]) -> int:
    """Run the built image as the platform would, until Ctrl-C."""
    from chutes_wrappers.cli.commands.run_docker import run_docker as run_image

    return run_image(module, allowed=parse_allow_list(allow_host, allow_origin))


@verb(title="Run dev mode (host)", number=5)
@module
@flag("--port PORT", PORT, default=CHUTE_PORT, help="listen on this port", ask="Port", ask_default=str(CHUTE_PORT))
@allow_host
@allow_origin
def run(module: str, port: int, allow_host: tuple[str, ...], allow_origin: tuple[str, ...]) -> int:
    """Run the chute on this machine (dev mode), until Ctrl-C."""
    check_free_port(port)
    from chutes_wrappers.cli.commands.run_host import run_host

    return run_host(module, port=port, allowed=parse_allow_list(allow_host, allow_origin))


GROUP = Group(
    name="try",
    title="Try it on this machine",
    verbs=(emulate, run_docker, run),
    examples=(
        ("./deploy.sh --emulate deploy_example", "run the sample, also without Docker and account"),
        ("./deploy.sh --emulate deploy_ocr --check", "call every route once; exit code 1 if one fails"),
        ("./deploy.sh --run-docker deploy_ocr", "run the built image, with the machine's GPUs"),
        ("./deploy.sh --run deploy_ocr --port 9000", "run the chute next to your own service"),
    ),
)
