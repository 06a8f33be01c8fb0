"""``deploy.sh``: its flags, and what they mean together."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until run() can say it well: while Python loads the rest, its own handler would show a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import sys
from collections.abc import Mapping, Sequence

import click

from chutes_wrappers.cli import output
from chutes_wrappers.cli.dispatch import COMMANDS, ONLY_WITH
from chutes_wrappers.core.exposure import EXPOSABLE

_EXAMPLES = """\b
Examples:
  ./deploy.sh --emulate deploy_example                 the sample as the platform would run it: no Docker, no account
  ./deploy.sh --discover deploy_myservice              find its routes, write deploy_myservice.routes.json
  ./deploy.sh --build deploy_myservice --local         build and verify the wrapped image here
  ./deploy.sh --build deploy_myservice                 build it on the platform, and wait for it
  ./deploy.sh --deploy deploy_myservice --accept-fee   deploy it there
  ./deploy.sh --run-docker deploy_myservice            run the image as the platform would
  ./deploy.sh --run deploy_myservice --port 9000       run the chute on this machine, beside your service
  ./deploy.sh --forward deploy_myservice               the service's own API on this machine, served by the deployed chute
  ./deploy.sh --call myservice /encode -d '{"text": "SOS"}'   call a route of the deployed chute
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=_EXAMPLES)
@click.option("--discover", metavar="MODULE", help="Run the module's image, find its routes and write its manifest.")
@click.option("--build", metavar="MODULE", help="Build the wrapped image; with --local on this machine, and verify it.")
@click.option(
    "--deploy", metavar="MODULE", help="Deploy the module on the platform, with the image that was built there."
)
@click.option("--run-docker", metavar="MODULE", help="Run the built image as the platform would, until Ctrl-C.")
@click.option("--run", metavar="MODULE", help="Run the chute on this machine (dev mode), until Ctrl-C.")
@click.option("--forward", metavar="MODULE", help="Serve the deployed chute's original API on 127.0.0.1, until Ctrl-C.")
@click.option("--emulate", metavar="MODULE", help="Run the chute as the platform would, and call every route once.")
@click.option(
    "--call", nargs=2, metavar="NAME PATH", help="Call a route of a deployed chute: by its name, id or module."
)
@click.option("--list-images", is_flag=True, default=None, help="Show the account's images on the platform.")
@click.option("--list-chutes", is_flag=True, default=None, help="Show the account's chutes.")
@click.option("--status", metavar="NAME", help="Show how a deployed chute stands: version, image, routes, instances.")
@click.option("--logs", metavar="NAME", help="Show what the newest instance of a chute prints.")
@click.option("--warmup", metavar="NAME", help="Start an instance of a chute, and wait until it is active.")
@click.option("--share", nargs=2, metavar="NAME USER", help="Let another user see and call a chute.")
@click.option(
    "--secret",
    nargs=2,
    metavar="CHUTE KEY",
    help="Keep a variable for a chute's instances; its value from standard input.",
)
@click.option("--delete", metavar="NAME", help="Delete a chute; asks for its name.")
@click.option(
    "--delete-image", metavar="NAME:TAG", help="Delete an image that no chute uses, also one that failed to build."
)
@click.option("--account", is_flag=True, default=None, help="Show the account: balance, where to pay in, permissions.")
@click.option("--follow", is_flag=True, help="With --logs: go on until Ctrl-C, also with the next instance.")
@click.option("--accept-fee", is_flag=True, help="With --deploy: accept the one-time fee of a first deployment.")
@click.option("--public", is_flag=True, help="With --build, --deploy: for everybody; needs a permission.")
@click.option("--logo", metavar="FILE", help="With --build, --deploy: a picture for the listing.")
@click.option("--local", is_flag=True, help="With --build: build here instead of on the platform.")
@click.option("--debug", is_flag=True, help="Show everything: all lines of a build, the traceback of a fault.")
@click.option(
    "--no-docker", is_flag=True, help="With --emulate: run the service here, by the module's HOST_ENTRYPOINT."
)
@click.option("--buildah", is_flag=True, help="With --emulate: build with buildah, as the platform does; takes longer.")
@click.option("--check", is_flag=True, help="With --emulate: end after the calls, with the verdict.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0),
    help="With --emulate --check: see whether the instance lasts for so many seconds [40].",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The result as JSON on standard output; with --emulate, --call and all that asks the platform.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="With --run, --emulate: listen on this port [8000; a free one]."
)
@click.option(
    "--url", help="With --forward, --call: where the chute is called [as the platform says]; no key for this machine."
)
@click.option(
    "--listen",
    metavar="LOCAL:SERVICE",
    multiple=True,
    help="With --forward: a port here for a service's port, also several times [the services' own ports].",
)
@click.option(
    "--startup-delay", type=click.FloatRange(min=0), help="With --discover: seconds to start up, at most [120]."
)
@click.option(
    "--probe-timeout",
    type=click.FloatRange(min=0),
    help="With --discover: seconds to answer after that, at most [180].",
)
@click.option("--docker-gpus", help="With --discover: GPUs for the container [all].")
@click.option("--expose", metavar="CATEGORIES", help=f"With --discover: publish what is left out: {EXPOSABLE}.")
@click.option("--openapi", metavar="FILE", help="With --discover: write the OpenAPI document of the chute, too.")
@click.option(
    "--data", "-d", metavar="JSON", help="With --call: the body, a JSON object; @FILE, or @- for standard input."
)
@click.option(
    "--form",
    "-F",
    metavar="NAME=VALUE",
    multiple=True,
    help="With --call: a field of the body, or a file as NAME=@FILE[;type=audio/wav], also several times.",
)
@click.option("--output", "-o", metavar="FILE", help="With --call: write the answer into a file, whole or not at all.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="With --call: seconds without a word from the chute [610]; with --warmup: seconds to wait [900].",
)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take the default of every question.")
@click.pass_context
def deploy(context: click.Context, /, **options: object) -> None:
    """Wrap a Docker image that serves HTTP, and run it as a chute.

    MODULE is a deploy module: a path, with or without .py. Everything is stopped when a command ends.
    """
    verbs = [verb for verb in COMMANDS if options[verb] is not None]
    _check_usage(verbs, options)
    if not verbs:
        click.echo(context.get_help())
        context.exit(0 if len(sys.argv) < 2 else 2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that whatever runs is stopped then, too
    context.exit(output.run(lambda: COMMANDS[verbs[0]](options), debug=bool(options["debug"])))


def _check_usage(verbs: Sequence[str], options: Mapping[str, object]) -> None:
    if len(verbs) > 1:
        raise click.UsageError(f"{' and '.join(map(_flag, verbs))}: one at a time")
    if verbs and not options[verbs[0]]:
        raise click.UsageError(f"{_flag(verbs[0])} needs a name, such as deploy_example")
    for option, fitting in ONLY_WITH.items():
        given = options[option]
        if given is not None and given is not False and given != () and not set(fitting) & set(verbs):
            meant = " or ".join(f"{_flag(verb)} MODULE" for verb in fitting)
            raise click.UsageError(f"{_flag(option)} means something only with {meant}")


def _flag(option: str) -> str:
    return "--" + option.removeprefix("as_").replace("_", "-")


if __name__ == "__main__":
    deploy(prog_name="./deploy.sh")
