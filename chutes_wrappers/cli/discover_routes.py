"""``tools/discover_routes.py`` (installed: ``chutes-wrappers-discover``): the routes of a running service or of an image."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import click

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands import discover
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.cli.verbs.declarations import allow
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import EXPOSABLE, parse_expose


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--base-url", metavar="URL", help="Discover a service that is already running.")
@click.option("--port", type=click.IntRange(1, 65535), help="With --base-url: the port of its routes [the URL's].")
@click.option("--chute-file", metavar="FILE", help="Run the image of a deploy module and discover its service.")
@click.option("--output", "target", metavar="FILE", help="The manifest [the module's .routes.json; standard output].")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest, and nothing else, on standard output.")
@click.option("--startup-delay", type=click.FloatRange(min=0), default=discover.STARTUP_DELAY_S, show_default=True)
@click.option("--probe-timeout", type=click.FloatRange(min=0), default=discover.PROBE_TIMEOUT_S, show_default=True)
@click.option(
    "--probe-paths", metavar="A,B", default="", help="Paths of specifications; if none has routes, the usual ones."
)
@click.option("--expose", metavar="CATEGORIES", default="", help=f"Publish what is excluded by default: {EXPOSABLE}.")
@click.option("--openapi", metavar="FILE", help="Also write the OpenAPI document of the public chute.")
@click.option("--docker-gpus", default=discover.GPUS, show_default=True, help="GPUs to use: all, a number, or none.")
@click.option(
    "--docker-env",
    metavar="K=V",
    multiple=True,
    help="A variable; overrides CHUTE_ENV. K alone copies the value from the current environment.",
)
@click.option("--docker-volume", metavar="SOURCE:TARGET", multiple=True, help="A volume for the container.")
@click.option("--shm-size", metavar="SIZE", default="16g", show_default=True, help="Size of the container's /dev/shm.")
@click.option("--docker-user", metavar="USER", help="Run the container as this user [the image's].")
@click.option("--docker-entrypoint", metavar="COMMAND", help="Override the entrypoint of the module or image.")
@allow
def main(*, allow: tuple[str, ...], **options: Any) -> None:
    """Discover the HTTP routes of a service and write its route manifest.

    --startup-delay and --probe-timeout are maximum times in seconds. Their sum is the timeout until the service
    responds. Discovery does not wait longer than necessary.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM must remove the container, too
    with report_overruled(allow):
        code = output.run(lambda: _discover(**options))
    sys.exit(code)


def _discover(
    *,
    base_url: str | None,
    port: int | None,
    chute_file: str | None,
    target: str | None,
    as_json: bool,
    startup_delay: float,
    probe_timeout: float,
    probe_paths: str,
    expose: str,
    openapi: str | None,
    docker_gpus: str,
    docker_env: tuple[str, ...],
    docker_volume: tuple[str, ...],
    shm_size: str,
    docker_user: str | None,
    docker_entrypoint: str | None,
) -> int:
    if (base_url is None) == (chute_file is None):
        raise ConfigurationError(
            "expected either --base-url or --chute-file",
            next_step="add --base-url URL for a running service, or --chute-file FILE for its image",
        )
    settings = discover.Settings(
        startup_delay_s=startup_delay,
        probe_timeout_s=probe_timeout,
        probe_paths=tuple(path.strip() for path in probe_paths.split(",") if path.strip()),
        expose=parse_expose(expose, where="--expose"),
        openapi=Path(openapi) if openapi else None,
        gpus=docker_gpus,
        environment=discover.parse_environment(docker_env),
        volumes=docker_volume,
        shm_bytes=discover.parse_size(shm_size),
        user=docker_user,
        entrypoint=tuple(shlex.split(docker_entrypoint)) if docker_entrypoint else None,
    )
    path = Path(target) if target else None
    if base_url is not None:
        manifest = discover.discover_url(base_url, port, settings, path)
    else:
        manifest = discover.discover_file(str(chute_file), settings, path)
    if as_json or (base_url and path is None):
        output.print_result(manifest.to_json())
    return 0
