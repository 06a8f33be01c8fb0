"""What flags there are: commands in groups, and the flags that belong to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from chutes_wrappers.cli.completion import Files, Modules
from chutes_wrappers.core.exposure import EXPOSABLE


@dataclass(frozen=True, kw_only=True)
class Group:
    """Commands that belong together; ``name`` is what ``--help`` takes, an example a command line and what it does."""

    name: str
    title: str
    examples: tuple[tuple[str, str], ...]


GROUPS = (
    Group(
        name="make",
        title="Make a chute of an image",
        examples=(
            ("./deploy.sh --create example.com/ocr:1.2", "writes deploy_ocr.py and its routes"),
            ("./deploy.sh --discover deploy_ocr", "finds the routes again"),
            ("./deploy.sh --discover deploy_ocr --check", "exit code 1 when it has changed"),
            ("./deploy.sh --build deploy_ocr --local", "builds and verifies it here"),
        ),
    ),
    Group(
        name="try",
        title="Try it on this machine",
        examples=(
            ("./deploy.sh --emulate deploy_example", "the sample, without Docker and account too"),
            ("./deploy.sh --emulate deploy_ocr --check", "every route once; exit code 1 when one fails"),
            ("./deploy.sh --run-docker deploy_ocr", "the built image, with the machine's GPUs"),
            ("./deploy.sh --run deploy_ocr --port 9000", "the chute beside your own service"),
        ),
    ),
    Group(
        name="platform",
        title="Deploy it, and keep an eye on it",
        examples=(
            ("./deploy.sh --cost deploy_ocr", "what it costs, before it costs"),
            ("./deploy.sh --deploy deploy_ocr --accept-fee", "accepts the first fee"),
            ("./deploy.sh --warmup ocr --keep 600", "an instance, for ten minutes"),
            ("./deploy.sh --status ocr --watch", "a live view"),
            ("./deploy.sh --logs ocr --follow", "what it prints, until Ctrl-C"),
        ),
    ),
    Group(
        name="use",
        title="Use it",
        examples=(
            ("./deploy.sh --call ocr /ocr -F image_file=@page.png", "a file, as with curl"),
            ('./deploy.sh --call ocr /encode -d \'{"text": "SOS"}\' --json', "the answer with its status and time"),
            ("./deploy.sh --forward deploy_ocr", "existing clients and pages, unchanged"),
        ),
    ),
    Group(
        name="help",
        title="Set up, find out what is wrong",
        examples=(
            ("./deploy.sh --doctor", "what would fail here, and the fix"),
            ("source <(./deploy.sh --completion bash)", "or zsh; fish: … --completion fish | source"),
        ),
    ),
)

NO_SECONDS = -1.0  # --watch without a value


class Command(click.Option):
    """A flag that says what to do; one at a time. ``group`` is a Group's name."""

    def __init__(self, declarations: tuple[str, ...], group: str, **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.group = group


class Modifier(click.Option):
    """A flag that says how; ``to`` has the parameter names of the commands that it belongs to, and what it says of each."""

    def __init__(self, declarations: tuple[str, ...], to: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.to = to


class _Seconds(click.FloatRange):
    """A number of seconds that can come to an end."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        seconds: float = super().convert(value, parameter, context)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds", parameter, context)
        return seconds


def flag_of(option: str) -> str:
    """``--as-it-is-typed`` of a parameter's name."""
    return "--" + option.removeprefix("as_").replace("_", "-")


def _command(group: str, *declarations: str, metavar: str = "", **attributes: Any) -> Command:
    if not metavar:
        attributes |= {"is_flag": True, "default": None}
    else:
        attributes |= {"metavar": metavar, "nargs": len(metavar.split())}
    if metavar.split()[:1] in (["MODULE"], ["NAME"], ["CHUTE"]):
        attributes |= {"type": Modules()}
    return Command(declarations, group, **attributes)


def _modifier(to: str | Mapping[str, str], *declarations: str, help: str = "", **attributes: Any) -> Modifier:
    return Modifier(declarations, to if isinstance(to, Mapping) else dict.fromkeys(to.split(), help), **attributes)


_ASKING = "list_images list_chutes status logs warmup cost share secret delete delete_image account"
_SECONDS = _Seconds(min=0)

COMMANDS = (
    _command("make", "--create", metavar="IMAGE", help="Write a module for an image, and find its routes."),
    _command("make", "--discover", metavar="MODULE", help="Run its image, find its routes, write its manifest."),
    _command("make", "--build", metavar="MODULE", help="Build the wrapped image, there or here (--local)."),
    _command("try", "--emulate", metavar="MODULE", help="Run it as the platform would, and call every route once."),
    _command("try", "--run-docker", metavar="MODULE", help="Run the built image as the platform would, until Ctrl-C."),
    _command("try", "--run", metavar="MODULE", help="Run the chute on this machine (dev mode), until Ctrl-C."),
    _command("platform", "--deploy", metavar="MODULE", help="Deploy the module, with the image built there."),
    _command("platform", "--cost", metavar="MODULE", help="What its deployment and its hours cost."),
    _command("platform", "--list-images", help="The account's images."),
    _command("platform", "--list-chutes", help="The account's chutes."),
    _command("platform", "--status", metavar="NAME", help="How a chute stands: version, routes, instances."),
    _command("platform", "--logs", metavar="NAME", help="What an instance prints, by default the newest."),
    _command("platform", "--warmup", metavar="NAME", help="Start an instance, and wait until it is active."),
    _command("platform", "--share", metavar="NAME USER", help="Let another user see and call a chute."),
    _command("platform", "--secret", metavar="CHUTE KEY", help="A variable for its instances, from standard input."),
    _command("platform", "--delete", metavar="NAME", help="Delete a chute; asks for its name."),
    _command("platform", "--delete-image", metavar="NAME:TAG", help="Delete an image that no chute uses."),
    _command("platform", "--account", help="Balance, where to pay in, permissions."),
    _command("use", "--call", metavar="NAME PATH", help="Call a route of a deployed chute."),
    _command("use", "--forward", metavar="MODULE", help="Serve its original API on 127.0.0.1, until Ctrl-C."),
    _command("help", "--doctor", help="Check Python, Docker, account and modules; name the fixes."),
    _command(
        "help",
        "--completion",
        metavar="SHELL",
        type=click.Choice(("bash", "zsh", "fish")),
        help="Print what completes these flags in a shell.",
    ),
)

MODIFIERS = (
    _modifier("create", "--name", metavar="NAME", help="the chute's name [the image's]."),
    _modifier("create", "--force", is_flag=True, help="replace a module and a manifest that are there."),
    _modifier("create", "--no-discover", is_flag=True, help="write the module only."),
    _modifier("build", "--local", is_flag=True, help="here instead of on the platform, and verify the image."),
    _modifier("build deploy", "--public", is_flag=True, help="for everybody; needs a permission."),
    _modifier("build deploy", "--logo", metavar="FILE", type=Files(), help="a picture for the listing."),
    _modifier("deploy", "--accept-fee", is_flag=True, help="accept the one-time fee of a first deployment."),
    _modifier(
        "discover", "--startup-delay", type=_SECONDS, metavar="SECONDS", help="seconds to start up, at most [120]."
    ),
    _modifier(
        "discover",
        "--probe-timeout",
        type=_SECONDS,
        metavar="SECONDS",
        help="seconds to answer after that, at most [180].",
    ),
    _modifier("discover", "--docker-gpus", metavar="GPUS", help="GPUs for the container: all, none, a number [all]."),
    _modifier("discover", "--expose", metavar="CATEGORIES", help=f"publish what is left out: {EXPOSABLE}."),
    _modifier("discover", "--openapi", metavar="FILE", type=Files(), help="write the chute's OpenAPI document, too."),
    _modifier("emulate", "--no-docker", is_flag=True, help="run the service here, by the module's HOST_ENTRYPOINT."),
    _modifier("emulate", "--buildah", is_flag=True, help="build with buildah, as the platform does; takes longer."),
    _modifier(
        {
            "emulate": "end after the calls; exit code 1 when one would fail.",
            "discover": "write nothing; exit code 1 when the service serves anything else.",
        },
        "--check",
        is_flag=True,
    ),
    _modifier(
        {
            "emulate": "with --check: how long the instance must last [40].",
            "status": "a live view until Ctrl-C; look every so many seconds [2].",
        },
        "--watch",
        is_flag=False,
        flag_value=NO_SECONDS,
        type=float,
        metavar="[SECONDS]",
    ),
    _modifier(
        {
            "run": "listen on this port [8000].",
            "emulate": "serve page and chute on this port [a free one].",
            "create": "the service's port [what the image says].",
        },
        "--port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
    ),
    _modifier("logs", "--follow", is_flag=True, help="go on until Ctrl-C, also with the next instance."),
    _modifier("logs", "--instance", metavar="ID", help="the one whose id begins so."),
    _modifier("warmup", "--wait/--no-wait", default=None, help="until an instance is active [--wait]."),
    _modifier(
        "warmup", "--keep", type=_SECONDS, metavar="SECONDS", help="then see to it that there is one for so long."
    ),
    _modifier("call", "--data", "-d", metavar="JSON", help="the body, a JSON object; @FILE, or @- for standard input."),
    _modifier(
        "call",
        "--form",
        "-F",
        metavar="NAME=VALUE",
        multiple=True,
        help="a field of the body, or a file as NAME=@FILE[;type=audio/wav], also several times.",
    ),
    _modifier(
        "call", "--output", "-o", metavar="FILE", type=Files(), help="the answer into a file, whole or not at all."
    ),
    _modifier(
        {
            "call": "how long nothing may come from the chute [610].",
            "warmup": "how long to wait for an instance [900].",
        },
        "--timeout",
        type=_Seconds(min=0, min_open=True),
        metavar="SECONDS",
    ),
    _modifier(
        "forward call",
        "--url",
        metavar="URL",
        help="where the chute is called [as the platform says]; no key for this machine.",
    ),
    _modifier(
        "forward",
        "--listen",
        metavar="LOCAL:SERVICE",
        multiple=True,
        help="a port here for a service's port, also several times [the services' own ports].",
    ),
    _modifier(
        "forward emulate run run_docker",
        "--allow-host",
        metavar="NAME",
        multiple=True,
        help="accept requests for this host name; repeatable.",
    ),
    _modifier(
        "forward emulate run run_docker",
        "--allow-origin",
        metavar="ORIGIN",
        multiple=True,
        help="accept requests from pages of this origin; repeatable.",
    ),
    _modifier(
        f"emulate call build deploy doctor {_ASKING}", "--json", "as_json", is_flag=True, help="the result as JSON."
    ),
)

EVERYWHERE = (
    click.Option(("--yes", "-y"), is_flag=True, help="Ask nothing: take the default of every question."),
    click.Option(("--quiet", "-q"), is_flag=True, help="Results, warnings and errors only."),
    click.Option(("--debug",), is_flag=True, help="All lines of a build, the traceback of a fault."),
)
