"""A base image → the SDK's Image of the wrapped one."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chutes.image import Image
from chutes.util.context import is_remote
from loguru import logger

from chutes_wrappers.core import layout, platform_rules, program
from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.sdk.dev_guard import guard_dev_run
from chutes_wrappers.sdk.route_source import (
    INLINE_VARIABLE,
    find_manifest,
    find_manifest_file,
    is_registration_skipped,
)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Settings of a vendor's Python that would reach the SDK's; the launcher gives them back to the service, but for the last.
_VENDOR_PYTHON_SETTINGS = (
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *platform_rules.FAULTHANDLER_VARIABLES,
)
# What may stay of a vendor's PIP_…: the recipe does the same while it builds (recipe/settings.sh).
_ALLOWED_PIP_SETTINGS = (
    *("CERT", "CLIENT_CERT", "DEFAULT_TIMEOUT", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "KEYRING_PROVIDER"),
    *("PROXY", "RETRIES", "TIMEOUT", "TRUSTED_HOST", "BREAK_SYSTEM_PACKAGES"),
)
_MAX_COMMAND_BYTES = 100_000
_FORBIDDEN_VARIABLES = {
    "CHUTES_DEV_MODE": "the SDK would serve an instance as on a developer's machine",
    **dict.fromkeys(
        platform_rules.FAULTHANDLER_VARIABLES, "under the platform's guard library such a Python dies at once"
    ),
}
# SDK image/directive/env.py, which asserts it.
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def build_wrapper_image(
    username: str,
    name: str,
    tag: str,
    base_image: str,
    *,
    python_version: str = "3.12",
    readme: str = "",
    env: Mapping[str, str] | None = None,
    entrypoint: str | list[str] | None = None,
    autostart: bool = True,
    writable_paths: Iterable[str] = (),
    slim: bool = False,
) -> Image:
    """The wrapped image of ``base_image``, ready for ``chutes build`` (local or remote) and for directives of yours behind ours.

    ``python_version`` is the Python that the SDK wants to run on (the vendor's is never used or changed). ``env`` goes into
    image layers, where everybody who can pull the image reads it. ``entrypoint`` replaces the base image's command (a string
    is run by ``/bin/sh -c``); ``autostart=False`` leaves starting the service to the module. Everything below
    ``writable_paths`` becomes writable for the instance's user, as do the paths that discovery saw the service write to.
    ``slim`` leaves out what is needed only to compile (cmake, git, headers).

    Raises ConfigurationError for names, variables or paths that the platform or a Dockerfile cannot take.
    """
    guard_dev_run()
    _check_name("image name", name, platform_rules.IMAGE_NAME_LENGTH)
    _check_name("image tag", tag, platform_rules.IMAGE_TAG_LENGTH)
    _check_variables(env or {})
    spec = _find_launch_spec(find_caller_globals())
    image = Image(username=username, name=name, tag=tag, readme=readme).from_base(base_image).set_user("root")
    _add_recipe(image, python_version, slim)
    for key, value in _build_environment(username, spec, env or {}, entrypoint, autostart).items():
        image.with_env(key, _quote_value(key, value))
    _make_writable(image, spec, tuple(writable_paths))
    _add_package(image, find_caller_globals())
    return image.set_user(platform_rules.INSTANCE_USER).set_workdir(platform_rules.INSTANCE_WORKDIR).with_entrypoint([])


def _check_name(field: str, value: str, length: tuple[int, int]) -> None:
    if rule := platform_rules.find_image_name_problem(value, length):
        raise ConfigurationError(f"{field} {value!r} is refused by the platform", next_step=f"use {rule}")


def _check_variables(env: Mapping[Any, Any]) -> None:
    for key, value in env.items():
        if not isinstance(key, str) or not _VARIABLE_NAME.fullmatch(key):
            raise ConfigurationError(
                f"env={{{key!r}: …}} is not the name of a variable",
                next_step="use letters, digits and '_', the first not a digit; other variables can go into CHUTE_ENV",
            )
        if key in _FORBIDDEN_VARIABLES:
            raise ConfigurationError(f"env has {key}: {_FORBIDDEN_VARIABLES[key]}", next_step=f"leave {key} out")
        if not isinstance(value, str):
            # Without the value, which may be a secret.
            raise ConfigurationError(
                f"env={{{key!r}: …}} is of type {type(value).__name__}, not a string",
                next_step=f"write str(…) for {key}",
            )


def _find_launch_spec(module_globals: Mapping[str, Any]) -> LaunchSpec:
    if is_registration_skipped():
        return LaunchSpec()
    manifest = find_manifest(module_globals)
    if manifest is None or manifest.image is None:
        if not is_remote():
            logger.warning(
                "no manifest says what the base image runs, so nothing will start its service; "
                f"{program.NAMES.deploy} --discover finds out, and {program.NAMES.deploy} --build does so by itself"
            )
        return LaunchSpec()
    return manifest.image


def _add_recipe(image: Image, python_version: str, slim: bool) -> None:
    supported = [f"3.{minor}" for minor in range(platform_rules.MIN_PYTHON[1], platform_rules.MAX_PYTHON[1] + 1)]
    if python_version not in supported:
        raise ConfigurationError(
            f"python_version {python_version!r}: the SDK's native libraries do not run on it",
            next_step=f"use one of {', '.join(supported)}",
        )
    extent = "slim" if slim else "full"
    _add_source(image, layout.RECIPE_SOURCE, layout.BAKED_RECIPE)
    image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/user.sh")
    image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/sdk.sh {python_version} {version('chutes')} {extent}")


def _build_environment(
    username: str,
    spec: LaunchSpec,
    env: Mapping[str, str],
    entrypoint: str | list[str] | None,
    autostart: bool,
) -> dict[str, str]:
    variables = {name: "" for name in sorted(spec.environment) if spec.environment[name] and _can_affect_sdk(name)}
    # The vendor's folders stay behind ours; the system's are added for vendors whose PATH lacks them.
    folders = [f"{layout.BAKED_VENV}/bin", *spec.environment.get("PATH", "").split(":"), *_SYSTEM_PATH.split(":")]
    variables["PATH"] = ":".join(dict.fromkeys(filter(None, folders)))
    variables |= {"CHUTES_USERNAME": username, "PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
    settings: dict[str, Any] = {}
    if entrypoint:
        settings["entrypoint"] = entrypoint
    if not autostart:
        settings["autostart"] = False
    if env:
        settings["env"] = sorted(env)
        suspicious = sorted(key for key in env if platform_rules.SECRET_NAME.search(key))
        if suspicious and not is_remote():
            logger.warning(
                f"env= writes {', '.join(suspicious)} into image layers that everybody who can pull the image reads; "
                "a secret belongs into `chutes secrets create`"
            )
    if settings:
        variables[layout.LAUNCH_SETTINGS_VARIABLE] = json.dumps(settings, sort_keys=True)
    return {**variables, **env}


def _can_affect_sdk(name: str) -> bool:
    if name.startswith("PIP_") and _VARIABLE_NAME.fullmatch(name):
        return name.removeprefix("PIP_") not in _ALLOWED_PIP_SETTINGS
    return name in _VENDOR_PYTHON_SETTINGS


def _quote_value(key: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ConfigurationError(
            f"env {key} has more than one line, which a Dockerfile cannot hold", next_step="pass it in CHUTE_ENV"
        )
    escaped = re.sub(r'(["\\$])', r"\\\1", value)
    return f'"{escaped}"'


def _make_writable(image: Image, spec: LaunchSpec, trees: tuple[str, ...]) -> None:
    known = {spec.working_dir, spec.home} - {"/", "/nonexistent", platform_rules.INSTANCE_WORKDIR}
    paths = sorted(({*spec.writes} | known) - {*trees}) if spec.reference else []
    for path in (*paths, *trees):
        if not path.startswith("/") or "\n" in path:
            raise ConfigurationError(f"writable path {path!r} is not an absolute path")
    arguments = [_quote_for_shell(path) for path in paths] + [
        f"--tree {_quote_for_shell(tree)}" for tree in sorted(trees)
    ]
    for line in _join_words(arguments):
        image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/writable.sh {line}")


def _join_words(words: Iterable[str]) -> list[str]:
    """Words joined to lines that the kernel takes as one argument, which it bounds at 128 KiB."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1].encode()) + len(word.encode()) < _MAX_COMMAND_BYTES:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _quote_for_shell(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"


def _add_package(image: Image, module_globals: Mapping[str, Any]) -> None:
    for source in layout.PACKAGE_SOURCES:
        _add_source(image, source, f"{layout.BAKED_LIB}/{source}")
    if is_remote() or is_registration_skipped():
        return
    inline = bool(os.environ.get(INLINE_VARIABLE))
    path = find_manifest_file(module_globals)
    if path is None and not inline:
        return
    context = Path.cwd().resolve()
    if inline or path is None or not path.resolve().is_relative_to(context):
        raise ConfigurationError(
            f"the manifest must be a file below the folder that `chutes build` runs in ({context})",
            where=INLINE_VARIABLE if inline else str(path),
            next_step=f"run {program.NAMES.deploy} --build, which puts it there",
        )
    _add_source(image, str(path.resolve().relative_to(context)), layout.BAKED_MANIFEST)


def _add_source(image: Image, source: str, destination: str) -> None:
    if is_remote() or Path(source).exists():
        image.add(source=source, dest=destination)
    elif not program.IS_INSTALLED or _is_sdk_build():
        alternative = "" if program.IS_INSTALLED else ", or `chutes build` from the project's root"
        raise ConfigurationError(
            f"the build context {Path.cwd()} has no {source}",
            next_step=f"run {program.NAMES.deploy} --build MODULE{alternative}",
        )


def _is_sdk_build() -> bool:
    """Whether this is `chutes build`, the one command that needs the sources: other loading of a module works without."""
    return sys.argv[1:2] == ["build"]
