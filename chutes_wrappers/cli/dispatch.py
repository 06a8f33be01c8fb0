"""Flags → commands. A command is imported when it runs: ``--help`` must not wait for the SDK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chutes_wrappers.cli.flags import NO_SECONDS
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import Allowed, parse_allowed

if TYPE_CHECKING:
    from chutes_wrappers.cli.commands.uploading import UploadOptions


def _discover(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.discover import discover_module

    return discover_module(options)


def _build(options: dict[str, object]) -> int:
    if options["local"]:
        from chutes_wrappers.cli.commands.build import build

        return build(str(options["build"]), debug=bool(options["debug"]))
    from chutes_wrappers.cli.commands.remote_build import build_remotely

    return build_remotely(str(options["build"]), _upload(options))


def _deploy(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.deploy import deploy_module

    return deploy_module(str(options["deploy"]), _upload(options), accept_fee=bool(options["accept_fee"]))


def _upload(options: dict[str, object]) -> UploadOptions:
    from chutes_wrappers.cli.commands.uploading import UploadOptions

    return UploadOptions(
        public=bool(options["public"]),
        logo=_file(options["logo"]),
        debug=bool(options["debug"]),
        as_json=bool(options["as_json"]),
    )


def _file(name: object) -> Path | None:
    return Path(str(name)) if name else None


def _run_docker(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.run_docker import run_docker

    return run_docker(str(options["run_docker"]), allowed=_allowed(options))


def _run(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.run_host import run_host

    port = options["port"]
    return run_host(str(options["run"]), port=port if isinstance(port, int) else None, allowed=_allowed(options))


def _allowed(options: dict[str, object]) -> Allowed:
    hosts, origins = options["allow_host"], options["allow_origin"]
    assert isinstance(hosts, tuple)
    assert isinstance(origins, tuple)
    return parse_allowed(hosts, origins)


def _forward(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.forward import forward

    url, listen = options["url"], options["listen"]
    return forward(
        str(options["forward"]),
        url=url if isinstance(url, str) else None,
        listen=[str(pair) for pair in listen] if isinstance(listen, tuple) else [],
        allowed=_allowed(options),
    )


def _call(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.call import TIMEOUT_S, Options, call

    fields = options["form"]
    assert isinstance(fields, tuple)
    name, path = _pair(options["call"])
    data, file, url, timeout = options["data"], options["output"], options["url"], options["timeout"]
    return call(
        name,
        path,
        Options(
            data=data if isinstance(data, str) else None,
            fields=fields,
            file=_file(file),
            url=url if isinstance(url, str) else None,
            as_json=bool(options["as_json"]),
            timeout_s=timeout if isinstance(timeout, float) else TIMEOUT_S,
        ),
    )


def _list_images(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.listing import list_images

    return list_images(as_json=bool(options["as_json"]))


def _list_chutes(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.listing import list_chutes

    return list_chutes(as_json=bool(options["as_json"]))


def _account(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.listing import show_account

    return show_account(as_json=bool(options["as_json"]))


def _status(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.status import status

    if options["watch"] is not None:
        from chutes_wrappers.cli.commands.watching import LEAST_S, LOOK_EVERY_S, watch

        every_s = _watch_s(options, LOOK_EVERY_S, least_s=LEAST_S)
        return watch(str(options["status"]), every_s=every_s, as_json=bool(options["as_json"]))
    return status(str(options["status"]), as_json=bool(options["as_json"]))


def _logs(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.logs import logs

    instance = options["instance"]
    return logs(
        str(options["logs"]),
        follow=bool(options["follow"]),
        instance=str(instance) if instance else "",
        as_json=bool(options["as_json"]),
    )


def _warmup(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.warmup import TIMEOUT_S, warm_up

    timeout, keep = options["timeout"], options["keep"]
    if options["wait"] is False and keep is not None:
        raise ConfigurationError("--keep waits, and --no-wait does not", next_step="give one of them")
    return warm_up(
        str(options["warmup"]),
        timeout_s=timeout if isinstance(timeout, float) else TIMEOUT_S,
        waits=options["wait"] is not False,
        keep_s=keep if isinstance(keep, float) else 0.0,
        as_json=bool(options["as_json"]),
    )


def _cost(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.cost import cost

    return cost(str(options["cost"]), as_json=bool(options["as_json"]))


def _create(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.create import CreateOptions, create

    name, port = options["name"], options["port"]
    return create(
        str(options["create"]),
        CreateOptions(
            name=str(name) if name is not None else None,
            port=port if isinstance(port, int) else None,
            force=bool(options["force"]),
            discover=not options["no_discover"],
        ),
    )


def _doctor(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.doctor import doctor

    return doctor(as_json=bool(options["as_json"]))


def _completion(options: dict[str, object]) -> int:
    from chutes_wrappers.cli import output
    from chutes_wrappers.cli.completion import script
    from chutes_wrappers.core.program import executable

    output.result(script(str(options["completion"]), click.get_current_context().command, executable()))
    return 0


def _share(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.sharing import share

    name, user = _pair(options["share"])
    return share(name, user, as_json=bool(options["as_json"]))


def _secret(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.sharing import set_secret

    name, key = _pair(options["secret"])
    return set_secret(name, key, as_json=bool(options["as_json"]))


def _delete(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.deletion import delete_chute

    return delete_chute(str(options["delete"]), yes=bool(options["yes"]), as_json=bool(options["as_json"]))


def _delete_image(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.deletion import delete_image

    return delete_image(str(options["delete_image"]), yes=bool(options["yes"]), as_json=bool(options["as_json"]))


def _pair(value: object) -> tuple[str, str]:
    assert isinstance(value, tuple)
    first, second = map(str, value)
    return first, second


def _emulate(options: dict[str, object]) -> int:
    from chutes_wrappers.cli.commands.emulate import WATCH_S, Options, emulate

    port = options["port"]
    return emulate(
        str(options["emulate"]),
        Options(
            watch_s=_watch_s(options, WATCH_S),
            no_docker=bool(options["no_docker"]),
            buildah=bool(options["buildah"]),
            check=bool(options["check"]),
            as_json=bool(options["as_json"]),
            debug=bool(options["debug"]),
            port=port if isinstance(port, int) else 0,
            allowed=_allowed(options),
        ),
    )


def _watch_s(options: dict[str, object], default: float, *, least_s: float = 0.0) -> float:
    """The seconds behind ``--watch``, which may go without."""
    given = options["watch"]
    if not isinstance(given, float) or given == NO_SECONDS:
        return default
    if not least_s <= given < float("inf"):
        raise ConfigurationError(f"--watch is {given:g}", next_step=f"give seconds, {least_s:g} at least, such as 40")
    return given


# By the parameter's name of the flag that asks for it.
RUN: dict[str, Callable[[dict[str, object]], int]] = {
    "create": _create,
    "discover": _discover,
    "build": _build,
    "emulate": _emulate,
    "run_docker": _run_docker,
    "run": _run,
    "deploy": _deploy,
    "cost": _cost,
    "list_images": _list_images,
    "list_chutes": _list_chutes,
    "status": _status,
    "logs": _logs,
    "warmup": _warmup,
    "share": _share,
    "secret": _secret,
    "delete": _delete,
    "delete_image": _delete_image,
    "account": _account,
    "call": _call,
    "forward": _forward,
    "doctor": _doctor,
    "completion": _completion,
}
