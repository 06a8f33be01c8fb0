"""``CHUTE_HEADERS``: headers that the services of a module get with every request. Pure.

``{"Authorization": "Bearer ${SERVICE_KEY}"}`` is for all requests. A port or ``METHOD /path`` as a key has headers that override
those: ``{8020: {"X-Key": "${KEY}"}, "GET /health": {"X-Key": None}}``. ``${NAME}`` is a variable of the instance, ``$${`` is ``${``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.route_checks import find_header_problem

HEADERS_VARIABLE = "CHUTE_HEADERS"
_EXAMPLE = 'CHUTE_HEADERS = {"Authorization": "Bearer ${SERVICE_KEY}"}'
_PLACEHOLDER = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<invalid>\$\{)")
_ROUTE = re.compile(r"(?P<method>[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}) (?P<path>/\S*)")
# A header's value is one line of visible characters, spaces and tabs (RFC 9110, section 5.5).
_INVALID_VALUE = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]")
_PATH_VARIABLE = re.compile(r"(\{[^{}]*\})")
_Values = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class ModuleHeaders:
    """The headers of a module: for all requests, by port, and by ``METHOD /path``. None leaves a header out.

    The values may be secrets, so ``repr`` does not show them.
    """

    general: _Values = field(default_factory=dict, repr=False)
    by_port: Mapping[int, _Values] = field(default_factory=dict, repr=False)
    by_route: Mapping[str, _Values] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.general or self.by_port or self.by_route)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that the values refer to, sorted."""
        texts = (value for group in self._iter_groups() for value in group.values() if value is not None)
        return tuple(
            sorted({match["name"] for text in texts for match in _PLACEHOLDER.finditer(text) if match["name"]})
        )

    def select(self, port: int, *targets: tuple[str, str]) -> dict[str, str]:
        """Return the headers of a request to ``port``; ``targets`` are the methods and paths that a key may have for it.

        A route overrides a port, and a path without variables one with them.
        """
        routes = [key for key in self.by_route if any(matches_key(key, *target) for target in targets)]
        routes.sort(key=lambda key: "{" not in key)
        selected: dict[str, tuple[str, str | None]] = {}
        for group in (self.general, self.by_port.get(port, {}), *(self.by_route[key] for key in routes)):
            selected |= {name.lower(): (name, value) for name, value in group.items()}
        return {name: value for name, value in selected.values() if value is not None}

    def find_unset(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """Return the variables that ``environment`` does not set, or sets to blank text."""
        return tuple(name for name in self.variables if not environment.get(name, "").strip())

    def resolve(self, environment: Mapping[str, str]) -> ModuleHeaders:
        """Return the headers with the values of ``environment``, which sets all ``variables``.

        Raises ConfigurationError, without the value, for one that a header cannot have.
        """
        for name in self.variables:
            if _INVALID_VALUE.search(environment[name].strip()):
                raise ConfigurationError(
                    f"the value of {name} contains line breaks or other control characters, so no header can have it",
                    where=HEADERS_VARIABLE,
                    next_step=f"set {name} to one line of text",
                )

        def fill(values: _Values) -> _Values:
            return {
                name: value if value is None else _fill_placeholders(value, environment)
                for name, value in values.items()
            }

        return ModuleHeaders(
            general=fill(self.general),
            by_port={port: fill(values) for port, values in self.by_port.items()},
            by_route={route: fill(values) for route, values in self.by_route.items()},
        )

    def iter_literals(self) -> Iterator[tuple[str, str]]:
        """Yield the headers whose values refer to no variable."""
        for group in self._iter_groups():
            yield from ((name, value) for name, value in group.items() if value and not _PLACEHOLDER.search(value))

    def _iter_groups(self) -> Iterator[_Values]:
        yield from (self.general, *self.by_port.values(), *self.by_route.values())


def read_module_headers(module: Mapping[str, Any], where: str = "") -> ModuleHeaders:
    """Return the headers of the module with these variables. Raises ConfigurationError for what is invalid, without its value.

    A variable in CHUTE_ENV is refused: that is a part of the module, which a layer of the image contains.
    """
    file = where or str(module.get("__file__") or "module")
    headers = parse_headers(module.get(HEADERS_VARIABLE) or {}, file)
    public = [name for name in headers.variables if name in (module.get("CHUTE_ENV") or {})]
    if public:
        raise ConfigurationError(
            f"{public[0]} is in CHUTE_ENV, which the image's layers contain: its value would not be secret",
            where=f"{file}, {HEADERS_VARIABLE}",
            next_step=f"remove it from CHUTE_ENV, and store it: {format_secret_command(module.get('CHUTE_NAME'), public[0])}",
        )
    return headers


def format_secret_command(chute_name: Any, variable: str) -> str:
    """Return the command that sets ``variable`` on the instances of a chute."""
    return f"{NAMES.deploy} --secret {chute_name or 'CHUTE'} {variable}"


def parse_headers(value: Any, file: str) -> ModuleHeaders:
    """Return the headers in ``value``, of the module ``file``. Raises ConfigurationError for what is invalid, without its value."""
    if not isinstance(value, Mapping):
        raise _make_error(f"is a {type(value).__name__}, not a dictionary", file)
    general: dict[Any, Any] = {}
    by_port, by_route = {}, {}
    for key, content in value.items():
        if not isinstance(content, Mapping):
            general[key] = content
        elif (port := _parse_port(key)) is not None:
            by_port[port] = _check_values(content, file, f"[{key!r}]")
        elif isinstance(key, str) and (match := _ROUTE.fullmatch(key)):
            by_route[f"{match['method'].upper()} {match['path']}"] = _check_values(content, file, f"[{key!r}]")
        else:
            raise _make_error(f"{key!r} has headers, but it is not a port (8020) or a route (POST /x)", file)
    return ModuleHeaders(general=_check_values(general, file, ""), by_port=by_port, by_route=by_route)


def _parse_port(key: Any) -> int | None:
    if isinstance(key, str) and key.isdecimal() and key.isascii():  # a variable that was read as JSON
        key = int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and 1 <= key <= 65535 else None


def _check_values(values: Mapping[Any, Any], file: str, key: str) -> dict[str, str | None]:
    checked: dict[str, str | None] = {}
    for name, value in values.items():
        if not isinstance(name, str):
            raise _make_error(f"the key {name!r} is a {type(name).__name__}, not the name of a header", file, key)
        if problem := find_header_problem(name) or _find_value_problem(name, value):
            raise _make_error(problem, file, f"{key}[{name!r}]")
        if name.lower() in {other.lower() for other in checked}:
            raise _make_error(f"{name} is there twice: names of headers have no case", file, key)
        checked[name] = value if value is None else value.strip()
    return checked


def _find_value_problem(name: str, value: Any) -> str | None:
    if name.lower() == "content-type":
        return f'{name} belongs to each body: set "content_type" in the "request" of a route'
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        return f"the value is {'empty' if value == '' else f'a {type(value).__name__}'}: use a text, or None for no such header"
    if _INVALID_VALUE.search(value):
        return "the value contains line breaks or other control characters"
    if any(match["invalid"] for match in _PLACEHOLDER.finditer(value)):
        return "a '${' does not begin a variable such as ${SERVICE_KEY}: write '$${' for a literal one"
    return None


def _make_error(problem: str, file: str, key: str = "") -> ConfigurationError:
    return ConfigurationError(problem, where=f"{file}, {HEADERS_VARIABLE}{key}", next_step=f"write it as in {_EXAMPLE}")


def _fill_placeholders(text: str, environment: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: environment[match["name"]].strip() if match["name"] else "${", text)


def matches_key(key: str, method: str, path: str) -> bool:
    """Return whether ``key``, such as ``POST /items/{id}``, stands for a request."""
    key_method, _, key_path = key.partition(" ")
    return matches_target((key_method, key_path), method, path)


def matches_target(target: tuple[str, str], method: str, path: str) -> bool:
    """Return whether ``target``, a method and a path that may have variables, stands for a request."""
    return target[0].upper() == method.upper() and bool(_compile_path(target[1]).fullmatch(path))


@functools.lru_cache(maxsize=1024)
def _compile_path(template: str) -> re.Pattern[str]:
    """Return the pattern of the paths that ``template`` stands for: ``{name}`` is any segment, or a part of it."""
    parts = _PATH_VARIABLE.split(template)
    return re.compile("".join("[^/]+" if index % 2 else re.escape(part) for index, part in enumerate(parts)))


def add_default_headers(headers: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with those of ``defaults`` that they do not have, in any case. Cookies are merged by their names."""
    if not defaults:
        return dict(headers)
    own = {name.lower(): value for name, value in headers.items()}
    added = {name: value for name, value in defaults.items() if name.lower() not in own}
    cookies = next((value for name, value in defaults.items() if name.lower() == "cookie"), "")
    merged = {
        name: _merge_cookies(value, cookies) if name.lower() == "cookie" else value for name, value in headers.items()
    }
    return {**added, **merged}


def _merge_cookies(own: str, defaults: str) -> str:
    names = {pair.partition("=")[0].strip() for pair in own.split(";")}
    others = [pair.strip() for pair in defaults.split(";") if pair.partition("=")[0].strip() not in names]
    return "; ".join(filter(None, [*others, own]))
