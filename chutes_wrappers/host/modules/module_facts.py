"""The variables of a ``deploy_*.py``, which is run only if its source is not enough."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import Category, parse_expose
from chutes_wrappers.core.files import read_regular_file
from chutes_wrappers.core.manifest import build_manifest_path
from chutes_wrappers.core.module_headers import HEADERS_VARIABLE, ModuleHeaders, read_module_headers
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.routes import find_unknown_keys
from chutes_wrappers.host.modules.loading import LoadOptions, Report, load_module
from chutes_wrappers.host.modules.module_checks import CheckRule, parse_checks
from chutes_wrappers.host.modules.module_examples import check_examples
from chutes_wrappers.host.modules.module_files import PROJECT_ROOT

_REQUIRED = ("CHUTE_NAME", "CHUTE_TAG", "CHUTE_BASE_IMAGE", "SERVICE_PORTS")
_OPTIONAL = (
    "CHUTE_ENV",
    "CHUTE_STATIC_ROUTES",
    "CHUTE_TAGLINE",
    "ENTRYPOINT",
    "HOST_ENTRYPOINT",
    "CHUTE_EXPOSE",
    "CHUTE_EXAMPLES",
    HEADERS_VARIABLE,
    "CHUTE_CHECKS",
)
_TEMPLATE_STEP = f"set each variable as in the template: {NAMES.deploy} --template deploy_example"
# Python needs half a kilobyte of memory for a byte of source.
_MAX_SOURCE_BYTES = 2 * 1024**2
_READ_TARGET = "chutes_wrappers.sdk.variables:main"


@dataclass(frozen=True, kw_only=True)
class ModuleFacts:
    """The variables of a deploy module. ``env`` (CHUTE_ENV) may hold secrets and stays out of ``repr``."""

    path: Path
    chute_name: str
    chute_tag: str
    base_image: str
    service_ports: tuple[int, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    static_routes: Sequence[Mapping[str, Any]] = ()
    tagline: str = ""
    entrypoint: str | tuple[str, ...] | None = None
    host_entrypoint: str | tuple[str, ...] | None = None
    expose: frozenset[Category] = frozenset()
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headers: ModuleHeaders = field(default_factory=ModuleHeaders, repr=False)
    checks: Mapping[str, CheckRule] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The module's name, as in ``chutes build <name>:chute``."""
        return self.path.stem

    @property
    def image(self) -> str:
        """Name and tag of its wrapped image, in lower case as the platform compares them."""
        return f"{self.chute_name}:{self.chute_tag}".lower()

    @property
    def manifest_path(self) -> Path:
        """The path of the module's route manifest."""
        return build_manifest_path(self.path)


@dataclass(frozen=True, kw_only=True)
class LiteralFacts:
    """What the source of a module shows without running it. In ``facts`` the ``computed`` variables have empty values."""

    facts: ModuleFacts
    computed: tuple[str, ...]

    @property
    def image(self) -> str:
        """Name and tag of its wrapped image; empty if one of them is computed."""
        return "" if {"CHUTE_NAME", "CHUTE_TAG"} & {*self.computed} else self.facts.image


def read_literals(path: Path) -> LiteralFacts:
    """Read the literals of a module from its source. Nothing of it is run.

    Raises ConfigurationError, with the file and the line or variable, when the module cannot be read or a literal is invalid.
    """
    values, computed = _read_literals(_parse_source(path))
    _check_required(path, {*values, *computed})
    return LiteralFacts(facts=_build_facts(path, values), computed=tuple(sorted(computed)))


def read_module(path: Path, report: Report = lambda line: None) -> ModuleFacts:
    """Read a module's variables: literals from its source. The module is run only when a variable is computed.

    ``report`` is called when running the module takes long, and with unknown keys of its routes.

    Raises ConfigurationError, with the file and the line or variable, when the module cannot be read or a variable is
    invalid.
    """
    values, computed = _read_literals(_parse_source(path))
    if computed:
        values |= _run_module(path, sorted(computed), report)
    _check_required(path, {*values})
    facts = _build_facts(path, values)
    if ignored := find_unknown_keys(facts.static_routes):
        report(f"{path.name}, CHUTE_STATIC_ROUTES: ignoring unknown keys: {', '.join(ignored)}")
    return facts


def _check_required(path: Path, names: set[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            where=str(path),
            next_step=_TEMPLATE_STEP,
        )


def _parse_source(path: Path) -> ast.Module:
    try:
        return ast.parse(read_regular_file(path, max_bytes=_MAX_SOURCE_BYTES), filename=str(path))
    except SyntaxError as error:
        # Without the source line, which may hold a secret. Not every version of Python has a line number for a NUL byte.
        where = f"{path}, line {error.lineno}" if error.lineno else str(path)
        raise ConfigurationError(
            f"syntax error: {error.msg}", where=where, next_step="correct it: the file must be Python source"
        ) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(
            f"cannot be read ({error or type(error).__name__})",
            where=str(path),
            next_step="make it Python source that you may read",
        ) from error


def _read_literals(tree: ast.Module) -> tuple[dict[str, Any], set[str]]:
    """Return the values of variables that are literals, and the names of those that only running the module can provide."""
    bindings: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        for name in _find_bound_names(node):
            bindings.setdefault(name, []).append(node)
    values: dict[str, Any] = {}
    computed = {*_REQUIRED} if "*" in bindings else set()
    for name in bindings.keys() & {*_REQUIRED, *_OPTIONAL}:
        try:
            values[name] = _read_literal(bindings[name], tree)
            computed.discard(name)
        except ValueError:
            computed.add(name)
    return values, computed


def _read_literal(nodes: Sequence[ast.AST], tree: ast.Module) -> Any:
    node = nodes[0]
    if (
        len(nodes) > 1
        or node not in tree.body
        or not isinstance(node, ast.Assign | ast.AnnAssign)
        or node.value is None
    ):
        raise ValueError("not a single assignment at the top level")
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not all(isinstance(target, ast.Name) for target in targets):
        raise ValueError("one of several targets")
    try:
        return ast.literal_eval(node.value)
    except (TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("not a literal") from error


def _find_bound_names(node: ast.AST) -> set[str]:
    """Return names that a statement assigns or changes in place (``CHUTE_ENV["A"] = …``, ``CHUTE_ENV.update(…)``)."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return {node.func.value.id}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def _run_module(path: Path, names: Sequence[str], report: Report) -> dict[str, Any]:
    environment = {
        **os.environ,
        "CHUTES_SKIP_ROUTE_REGISTRATION": "1",
        "CHUTES_ALLOW_MISSING": "true",
    }
    environment.setdefault("CHUTES_USERNAME", "local")
    # The SDK needs the image's sources in the current folder (sdk/image.py). Without a checkout it is the module's folder,
    # and nothing is written there.
    options = LoadOptions(module=path, environment=environment, directory=PROJECT_ROOT or path.parent, paths={})
    return load_module(options, _READ_TARGET, [str(path), *names], report)


def _build_facts(path: Path, values: Mapping[str, Any]) -> ModuleFacts:
    def read_value(name: str, kinds: type | tuple[type, ...], expected: str, default: Any) -> Any:
        value = values.get(name)
        if value is None:
            return default
        if not isinstance(value, kinds) or (name in _REQUIRED and not value):
            description = f"a {type(value).__name__}" if name == "CHUTE_ENV" else repr(value)
            raise ConfigurationError(
                f"{name} is {description}; it must be {expected}", where=str(path), next_step=_TEMPLATE_STEP
            )
        return value

    def read_command(name: str) -> str | tuple[str, ...] | None:
        value = read_value(name, (str, list, tuple), "a string or a list of strings", None)
        return tuple(str(part) for part in value) if isinstance(value, list | tuple) else value

    return ModuleFacts(
        path=path,
        chute_name=read_value("CHUTE_NAME", str, "a string", ""),
        chute_tag=read_value("CHUTE_TAG", str, "a string", ""),
        base_image=read_value("CHUTE_BASE_IMAGE", str, "an image reference", ""),
        service_ports=_check_ports(path, read_value("SERVICE_PORTS", (list, tuple), "a list of ports", ())),
        env=_check_environment(path, read_value("CHUTE_ENV", dict, "a dictionary", {})),
        static_routes=tuple(read_value("CHUTE_STATIC_ROUTES", (list, tuple), "a list of routes", ())),
        tagline=read_value("CHUTE_TAGLINE", str, "a string", ""),
        entrypoint=read_command("ENTRYPOINT"),
        host_entrypoint=read_command("HOST_ENTRYPOINT"),
        expose=parse_expose(values.get("CHUTE_EXPOSE") or (), where=f"{path}, CHUTE_EXPOSE"),
        examples=check_examples(values.get("CHUTE_EXAMPLES") or {}, str(path)),
        headers=read_module_headers(values, str(path)),
        checks=parse_checks(values.get("CHUTE_CHECKS") or {}, str(path)),
    )


def _check_ports(path: Path, ports: Sequence[Any]) -> tuple[int, ...]:
    for index, port in enumerate(ports):
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ConfigurationError(
                f"SERVICE_PORTS[{index}] is {port!r}, not a port (1-65535)",
                where=str(path),
                next_step="list the ports that the service listens on, as in SERVICE_PORTS = [8020, 8080]",
            )
        if port in ports[:index]:
            raise ConfigurationError(
                f"SERVICE_PORTS has port {port} twice", where=str(path), next_step="list each port once"
            )
    return tuple(ports)


def _check_environment(path: Path, environment: Mapping[Any, Any]) -> dict[str, str]:
    checked = {}
    for key, value in environment.items():
        if not isinstance(key, str) or not key or "=" in key or isinstance(value, dict | list) or value is None:
            raise ConfigurationError(
                f"CHUTE_ENV[{key!r}] must map a name to a string, not to a {type(value).__name__}",
                where=str(path),
                next_step='use names and strings, as in CHUTE_ENV = {"MODEL": "large"}',
            )
        checked[key] = str(value)
    return checked
