"""Commands that make a chute from an image."""

from __future__ import annotations

from pathlib import Path

import click

from chutes_wrappers.cli.verbs.declarations import as_json, flag, module, operand
from chutes_wrappers.cli.verbs.values import EXPOSE, FILE, GPUS, PORT, SECONDS, TemplateName
from chutes_wrappers.cli.verbs.verb import Common, Group, verb
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import EXPOSABLE

public = flag("--public", help="make it public; requires a permission.")
logo = flag("--logo FILE", FILE, help="use this PNG, JPEG, GIF or WebP picture in the listing.")


@verb(title="Create from an image", number=10)
@operand("image", "IMAGE", ask="Image")
@flag("--name NAME", help="name the chute [the image's name].", ask="Name of the chute (Enter: the image's)")
@flag("--port PORT", PORT, help="set the service's port [the image's].")
@flag("--no-discover", help="write only the module.")
@flag("--force", help="overwrite an existing module and manifest.")
def create(image: str, name: str | None, port: int | None, no_discover: bool, force: bool) -> int:
    """Write a module for an image, and discover its routes."""
    if name is not None:
        from chutes_wrappers.host.creation.proposal import check_name

        check_name(name)
    from chutes_wrappers.cli.commands.create import CreateOptions
    from chutes_wrappers.cli.commands.create import create as create_module

    return create_module(image, CreateOptions(name=name, port=port, force=force, discover=not no_discover))


@verb(title="Copy a template", number=23)
@operand("template", "TEMPLATE", TemplateName(), ask="Template", ask_default="deploy_example")
def template(template: str) -> int:
    """Copy a template module, such as deploy_example."""
    from chutes_wrappers.cli.commands.template import copy_to_current_folder

    return copy_to_current_folder(template)


@verb(title="Discover routes", number=11)
@module
@flag(
    "--check",
    help="only compare; exit code 1 if the service differs.",
    ask="Only compare, and write nothing?",
    ask_default=False,
    ends=True,
)
@flag(
    "--startup-delay SECONDS",
    SECONDS,
    help="wait at most so many seconds for the start [120].",
    ask="Maximum startup delay, in seconds",
    ask_default="120",
)
@flag(
    "--probe-timeout SECONDS",
    SECONDS,
    help="wait at most so many seconds for a response after that [180].",
    ask="Probe timeout after that, in seconds",
    ask_default="180",
)
@flag(
    "--docker-gpus GPUS",
    GPUS,
    help="give the container GPUs: all, none, a number [all].",
    ask="GPUs of the container (all, none, a number)",
    ask_default="all",
)
@flag("--expose CATEGORIES", EXPOSE, help=f"publish skipped categories: {EXPOSABLE}.")
@flag("--openapi FILE", FILE, help="also write the chute's OpenAPI document.")
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
    """Run the image, discover its routes, write the manifest."""
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
    help="build here instead of on the platform, and verify the image.",
    ask="Build here, without an upload?",
    ask_default=True,
)
@public
@logo
@as_json
@click.pass_obj
def build(common: Common, module: str, local: bool, public: bool, logo: Path | None, as_json: bool) -> int:
    """Build the wrapped image, on the platform or here (--local)."""
    if local:
        for name, is_given in (("--public", public), ("--logo", logo), ("--json", as_json)):
            if is_given:
                raise ConfigurationError(
                    f"{name} cannot be used with --build --local, which uploads nothing",
                    next_step="use one of them",
                )
        from chutes_wrappers.cli.commands.build import build as build_here

        return build_here(module, debug=common.debug)
    from chutes_wrappers.cli.commands.remote_build import build_remotely
    from chutes_wrappers.cli.sdk_upload import UploadOptions

    options = UploadOptions(public=public, logo=logo, debug=common.debug, as_json=as_json, yes=common.yes)
    return build_remotely(module, options)


GROUP = Group(
    name="make",
    title="Make a chute from an image",
    verbs=(create, template, discover, build),
    examples=(
        ("./deploy.sh --create example.com/ocr:1.2", "write deploy_ocr.py and its routes"),
        ("./deploy.sh --discover deploy_ocr", "discover the routes again"),
        ("./deploy.sh --discover deploy_ocr --check", "exit code 1 after a change"),
        ("./deploy.sh --build deploy_ocr --local", "build and verify it here"),
    ),
)
