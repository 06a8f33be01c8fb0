"""Commands that make a chute of an image."""

from __future__ import annotations

from pathlib import Path

import click

from chutes_wrappers.cli.verbs.declarations import as_json, flag, module, operand
from chutes_wrappers.cli.verbs.values import EXPOSE, FILE, GPUS, PORT, SECONDS, TemplateName
from chutes_wrappers.cli.verbs.verb import Common, Group, verb
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import EXPOSABLE

public = flag("--public", help="for everybody; needs a permission.")
logo = flag("--logo FILE", FILE, help="a picture for the listing.")


@verb(title="Create from an image", number=10)
@operand("image", "IMAGE", ask="Image")
@flag("--name NAME", help="the chute's name [the image's].", ask="Name of the chute (Enter: the image's)")
@flag("--port PORT", PORT, help="the service's port [what the image says].")
@flag("--no-discover", help="write the module only.")
@flag("--force", help="replace a module and a manifest that are there.")
def create(image: str, name: str | None, port: int | None, no_discover: bool, force: bool) -> int:
    """Write a module for an image, and find its routes."""
    if name is not None:
        from chutes_wrappers.host.creation.proposal import check_name

        check_name(name)
    from chutes_wrappers.cli.commands.create import CreateOptions
    from chutes_wrappers.cli.commands.create import create as create_module

    return create_module(image, CreateOptions(name=name, port=port, force=force, discover=not no_discover))


@verb(title="Copy a template", number=23)
@operand("template", "TEMPLATE", TemplateName(), ask="Template", ask_default="deploy_example")
def template(template: str) -> int:
    """Copy a module to begin with, such as deploy_example."""
    from chutes_wrappers.cli.commands.template import copy_to_current_folder

    return copy_to_current_folder(template)


@verb(title="Discover routes", number=11)
@module
@flag(
    "--check",
    help="write nothing; exit code 1 when the service serves anything else.",
    ask="Compare only, and write nothing?",
    ask_default=False,
    ends=True,
)
@flag(
    "--startup-delay SECONDS",
    SECONDS,
    help="seconds to start up, at most [120].",
    ask="Startup delay at most, in seconds",
    ask_default="120",
)
@flag(
    "--probe-timeout SECONDS",
    SECONDS,
    help="seconds to answer after that, at most [180].",
    ask="Probe timeout after that, in seconds",
    ask_default="180",
)
@flag(
    "--docker-gpus GPUS",
    GPUS,
    help="GPUs for the container: all, none, a number [all].",
    ask="GPUs of the container (all, none, a number)",
    ask_default="all",
)
@flag("--expose CATEGORIES", EXPOSE, help=f"publish what is left out: {EXPOSABLE}.")
@flag("--openapi FILE", FILE, help="write the chute's OpenAPI document, too.")
@click.pass_obj
def discover(
    common: Common,
    module: str,
    check: bool,
    startup_delay: float | None,
    probe_timeout: float | None,
    docker_gpus: str | None,
    expose: str | None,
    openapi: Path | None,
) -> int:
    """Run its image, find its routes, write its manifest."""
    from chutes_wrappers.cli.commands.discover_module import DiscoverOptions, discover_module

    options = DiscoverOptions(
        startup_delay_s=startup_delay,
        probe_timeout_s=probe_timeout,
        gpus=docker_gpus,
        expose=expose or "",
        openapi=openapi,
        check=check,
        yes=common.yes,
    )
    return discover_module(module, options)


@verb(title="Build chute", number=3)
@module
@flag(
    "--local",
    help="here instead of on the platform, and verify the image.",
    ask="Build here, without an upload?",
    ask_default=True,
)
@public
@logo
@as_json
@click.pass_obj
def build(common: Common, module: str, local: bool, public: bool, logo: Path | None, as_json: bool) -> int:
    """Build the wrapped image, there or here (--local)."""
    if local:
        for name, is_given in (("--public", public), ("--logo", logo), ("--json", as_json)):
            if is_given:
                raise ConfigurationError(
                    f"{name} cannot be used with --build --local, which uploads nothing",
                    next_step="leave one of them out",
                )
        from chutes_wrappers.cli.commands.build import build as build_here

        return build_here(module, debug=common.debug)
    from chutes_wrappers.cli.commands.remote_build import build_remotely
    from chutes_wrappers.cli.sdk_upload import UploadOptions

    return build_remotely(module, UploadOptions(public=public, logo=logo, debug=common.debug, as_json=as_json))


GROUP = Group(
    name="make",
    title="Make a chute of an image",
    verbs=(create, template, discover, build),
    examples=(
        ("./deploy.sh --create example.com/ocr:1.2", "writes deploy_ocr.py and its routes"),
        ("./deploy.sh --discover deploy_ocr", "finds the routes again"),
        ("./deploy.sh --discover deploy_ocr --check", "exit code 1 when it has changed"),
        ("./deploy.sh --build deploy_ocr --local", "builds and verifies it here"),
    ),
)
