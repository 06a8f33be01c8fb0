"""The wrapped image of a base image, as an ``Image`` of the SDK."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chutes.image import Image
from chutes.util.context import is_remote
from loguru import logger

from chutes_wrappers.core import layout, platform_checks, platform_rules, program
from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.overruled_rules import build_variables, refuse
from chutes_wrappers.core.writable_paths import SYSTEM_FOLDERS, find_writable_path_problem, normalize_path
from chutes_wrappers.sdk.dev_guard import guard_dev_run
from chutes_wrappers.sdk.route_source import (
    INLINE_VARIABLE,
    find_manifest,
    find_manifest_file,
    is_registration_skipped,
)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Variables of a vendor's Python that would also affect the SDK's. The launcher restores them for the service, but not
# FAULTHANDLER_VARIABLES.
_VENDOR_PYTHON_SETTINGS = (
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *platform_rules.FAULTHANDLER_VARIABLES,
)
# A vendor's PIP_… variables that are kept. The recipe keeps the same ones during the build (recipe/settings.sh).
_ALLOWED_PIP_SETTINGS = (
    *("CERT", "CLIENT_CERT", "DEFAULT_TIMEOUT", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "KEYRING_PROVIDER"),
    *("PROXY", "RETRIES", "TIMEOUT", "TRUSTED_HOST", "BREAK_SYSTEM_PACKAGES"),
)
# uv refuses to run under a vendor's configuration for another version of it, such as that of a project in /app.
_INSTALLER_SETTINGS = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1", "UV_NO_CONFIG": "1"}
# Where programs write by default, in a home that itself stays the system's (the XDG base directories).
_HOME_FOLDERS = (".cache", ".config", ".local")
_MAX_COMMAND_BYTES = 100_000
_DEV_MODE_VARIABLE = "CHUTES_DEV_MODE"
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
    cuda_libraries: bool = False,
) -> Image:
    """Return the wrapped image of ``base_image``, for ``chutes build`` (local or remote). You can add directives to it.

    ``python_version`` is the preferred Python version for the SDK; the vendor's Python is never used or changed. ``env``
    goes into image layers, which everybody who can pull the image can read. ``entrypoint`` replaces the base image's
    command; ``/bin/sh -c`` runs a string. ``autostart=False`` leaves starting the service to the module. Everything below
    ``writable_paths`` becomes writable for the instance's user, and so do the paths that the service wrote to during
    discovery. Folders of the system are refused (core/writable_paths.py). ``slim`` omits what is needed only to compile
    (cmake, git, headers). ``cuda_libraries`` lets every program find CUDA's libraries that pip has installed into the base
    image (``site-packages/nvidia/*/lib``).

    Raises ConfigurationError for names, variables or paths that the platform or a Dockerfile does not accept.
    """
    guard_dev_run()
    module = find_caller_globals()
    _check_name("image-name", name, platform_rules.IMAGE_NAME_LENGTH, "CHUTE_NAME", module)
    _check_name("image-tag", tag, platform_rules.IMAGE_TAG_LENGTH, "CHUTE_TAG", module)
    _check_variables(env or {})
    trees = _check_trees(writable_paths)
    spec = _find_launch_spec(module)
    image = Image(username=username, name=name, tag=tag, readme=readme).from_base(base_image).set_user("root")
    _add_recipe(image, python_version, slim)
    if cuda_libraries:
        image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/cuda_libraries.sh")
    for key, value in _build_environment(username, spec, env or {}, entrypoint, autostart).items():
        image.with_env(key, _quote_value(key, value))
    _make_writable(image, spec, trees, module)
    _add_package(image, module)
    return image.set_user(platform_rules.INSTANCE_USER).set_workdir(platform_rules.INSTANCE_WORKDIR).with_entrypoint([])


def _check_name(
    rule: str, value: str, length: tuple[int, int], variable: str, module_globals: Mapping[str, Any]
) -> None:
    if valid_form := platform_checks.find_image_name_problem(value, length):
        kind = rule.replace("-", " ")
        source = f"{variable} as the {kind}" if module_globals.get(variable) == value else f"the {kind}"
        problem = f"the platform does not accept {source}: {value!r}"
        refuse(rule, ConfigurationError(problem, next_step=f"use {valid_form}"))


def _check_variables(env: Mapping[Any, Any]) -> None:
    for key, value in env.items():
        if not isinstance(key, str) or not _VARIABLE_NAME.fullmatch(key):
            raise ConfigurationError(
                f"env={{{key!r}: …}} is not a valid variable name",
                next_step="use letters, digits and '_', not beginning with a digit; other names can go into CHUTE_ENV",
            )
        if key == _DEV_MODE_VARIABLE:
            reason = "with it the SDK would run an instance as on a developer's machine"
            raise ConfigurationError(f"env must not have {key}: {reason}", next_step=f"remove {key} from env")
        if key in platform_rules.FAULTHANDLER_VARIABLES:
            reason = "with it Python crashes immediately under the platform's guard library"
            problem = ConfigurationError(f"env must not have {key}: {reason}", next_step=f"remove {key} from env")
            refuse("guard-library", problem)
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
                "no manifest with the base image's command, so nothing will start its service; "
                f"run {program.NAMES.deploy} --discover, or {program.NAMES.deploy} --build, which includes it"
            )
        return LaunchSpec()
    return manifest.image


def _add_recipe(image: Image, python_version: str, slim: bool) -> None:
    supported = [f"3.{minor}" for minor in range(platform_rules.MIN_PYTHON[1], platform_rules.MAX_PYTHON[1] + 1)]
    if python_version not in supported:
        problem = f"unsupported python_version {python_version!r}: the SDK's native libraries do not run on it"
        refuse("image-libraries", ConfigurationError(problem, next_step=f"use one of {', '.join(supported)}"))
    extent = "slim" if slim else "full"
    _add_source(image, layout.RECIPE_SOURCE, layout.BAKED_RECIPE)
    image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/user.sh")
    image.run_command(
        f"/bin/sh {layout.BAKED_RECIPE}/sdk.sh {python_version} {platform_rules.PLATFORM_SDK_VERSION} {extent}"
    )


def _build_environment(
    username: str,
    spec: LaunchSpec,
    env: Mapping[str, str],
    entrypoint: str | list[str] | None,
    autostart: bool,
) -> dict[str, str]:
    variables = {name: "" for name in sorted(spec.environment) if spec.environment[name] and _can_affect_sdk(name)}
    # Our folder is first, then the vendor's. The system's are added for vendors whose PATH lacks them.
    folders = [f"{layout.BAKED_VENV}/bin", *spec.environment.get("PATH", "").split(":"), *_SYSTEM_PATH.split(":")]
    variables["PATH"] = ":".join(dict.fromkeys(filter(None, folders)))
    variables |= {"CHUTES_USERNAME": username, **_INSTALLER_SETTINGS, **layout.TRACEBACK_SETTINGS}
    variables |= build_variables()  # an instance must load the module as this machine does
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
                f"env= writes {', '.join(suspicious)} into image layers, which everybody who can pull the image can read; "
                f"store a secret with {program.NAMES.deploy} --secret CHUTE KEY"
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
            f"env {key} has several lines, which a Dockerfile does not support", next_step="pass it in CHUTE_ENV"
        )
    escaped = re.sub(r'(["\\$])', r"\\\1", value)
    return f'"{escaped}"'


def _make_writable(image: Image, spec: LaunchSpec, trees: tuple[str, ...], module_globals: Mapping[str, Any]) -> None:
    written = _list_written_paths(spec, module_globals)
    optional = _list_launch_folders(spec) if spec.reference else ()
    arguments = [
        *(_quote_for_shell(path) for path in sorted({*written} - {*trees})),
        *(f"--optional {_quote_for_shell(path)}" for path in sorted({*optional} - {*written, *trees})),
        *(f"--tree {_quote_for_shell(tree)}" for tree in trees),
    ]
    for line in _join_words(arguments):
        image.run_command(f"/bin/sh {layout.BAKED_RECIPE}/writable.sh {line}")


def _check_trees(trees: Iterable[Any]) -> tuple[str, ...]:
    """Return the paths of ``writable_paths``, normalized and sorted."""
    if isinstance(trees, str):
        raise ConfigurationError(
            f"writable_paths={trees!r} is a string, not a list of paths", next_step=f"write writable_paths=({trees!r},)"
        )
    for tree in (checked := tuple(trees)):
        if not isinstance(tree, str):
            raise ConfigurationError(
                f"writable_paths has {tree!r}, which is of type {type(tree).__name__}, not a string",
                next_step="write each path as a string, as in writable_paths=('/data',)",
            )
        if problem := find_writable_path_problem(tree):
            raise ConfigurationError(
                f"writable_paths has {tree!r}, which {problem}",
                next_step="name the folder that the service writes to, as in writable_paths=('/data', '/root/.cache'); "
                f"{program.NAMES.deploy} --discover finds what it writes while it starts",
            )
    return tuple(sorted({normalize_path(tree) for tree in checked}))


def _list_written_paths(spec: LaunchSpec, module_globals: Mapping[str, Any]) -> tuple[str, ...]:
    for path in spec.writes:
        if problem := find_writable_path_problem(path):
            raise ConfigurationError(
                f"image.writes has {path!r}, which {problem}",
                where=str(find_manifest_file(module_globals) or "the manifest"),
                next_step=f"run {program.NAMES.deploy} --discover, which writes the paths below it",
            )
    return tuple(map(normalize_path, spec.writes))


def _list_launch_folders(spec: LaunchSpec) -> tuple[str, ...]:
    """Return the image's working directory and home. The recipe only makes a folder of the system readable."""
    home = normalize_path(spec.home)
    folders = {normalize_path(spec.working_dir), home} - {"/", "/nonexistent", platform_rules.INSTANCE_WORKDIR}
    if home in folders & {*SYSTEM_FOLDERS}:
        folders |= {f"{home}/{name}" for name in _HOME_FOLDERS}
    return tuple(folder for folder in folders if folder in SYSTEM_FOLDERS or find_writable_path_problem(folder) is None)


def _join_words(words: Iterable[str]) -> list[str]:
    """Join words into lines that fit into one argument of a command, which the kernel limits to 128 KiB."""
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
    """Whether this is `chutes build`, the only command that needs the sources: others load a module without them."""
    return sys.argv[1:2] == ["build"]
