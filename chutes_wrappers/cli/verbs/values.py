"""The types of operands and flags: validation and completion of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import parse_expose
from chutes_wrappers.core.local_guard import parse_allow_list
from chutes_wrappers.core.overruled_rules import check_rule
from chutes_wrappers.core.sizes import parse_gib

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ValueType = click.ParamType[Any]
else:
    _ValueType = click.ParamType  # click 8.1 and 8.2 cannot subscript it


_METHODS = (*platform_rules.API_PUBLIC_METHODS, *platform_rules.NEWEST_PUBLIC_METHODS)


class Value(_ValueType):
    """A value that ``parse`` makes from a text. A ValueError means that the text is not a valid ``name``; ``form`` describes one."""

    def __init__(self, name: str, form: str, parse: Callable[[Any], Any]) -> None:
        self.name = name
        self._form = form
        self._parse = parse

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Parse the value; a usage error names the text and the valid form."""
        try:
            return self._parse(value)
        except ConfigurationError as error:
            self.fail(f"{error.what}; {error.next_step}", parameter, context)
        except ValueError:
            self.fail(f"{value!r} is not a {self.name}: {self._form}", parameter, context)


class ModuleName(_ValueType):
    """The name of a deploy module, completed from the modules of the current folder."""

    name = "module"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the modules whose names start with ``incomplete``; for another folder the shell completes files."""
        from click.shell_completion import CompletionItem

        if "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        # Other names cannot be deployed, and a shell would execute some of them as a command.
        files = (path for path in Path.cwd().glob("deploy_*.py") if platform_rules.MODULE_FILE.match(path.name))
        names = sorted(path.stem for path in files)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class ChuteName(ModuleName):
    """The name of an own chute, its id, its module, or ``USER/NAME``."""

    name = "chute"


class TemplateName(_ValueType):
    """The name of a template, completed from the existing templates."""

    name = "template"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from chutes_wrappers.host.modules.templates import TEMPLATES

        return [CompletionItem(name) for name in TEMPLATES if name.startswith(incomplete)]


class FilePath(_ValueType):
    """The path of a file, completed by the shell; None if it is empty."""

    name = "file"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Path | None:
        return Path(value) if value else None

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class RuleName(Value):
    """The name of a rule of the platform that ``--allow`` overrules, completed from ``platform_rules.FACTS``."""

    def __init__(self) -> None:
        super().__init__("rule", "--doctor --facts lists the rules", check_rule)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in platform_rules.OVERRULABLE_RULES if name.startswith(incomplete)]


def _parse_port(text: Any) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError
    return port


def _parse_port_pair(text: str) -> str:
    local, separator, service = text.partition(":")
    if not separator or not re.fullmatch("[0-9]{1,5}", local) or not re.fullmatch("[0-9]{1,5}", service):
        raise ValueError
    _parse_port(local)
    return text


def _make_seconds_parser(minimum: float, *, is_minimum_valid: bool = True) -> Callable[[Any], float]:
    def parse(text: Any) -> float:
        seconds = float(text)
        if not math.isfinite(seconds) or seconds < minimum or (seconds == minimum and not is_minimum_valid):
            raise ValueError
        return seconds

    return parse


def _parse_gpus(text: str) -> str:
    if not re.fullmatch("all|none|[0-9]{1,3}|", text):
        raise ValueError
    return text


def _parse_method(text: str) -> str:
    method = text.upper()
    if method not in _METHODS:
        raise ValueError
    return method


def _check_expose(text: str) -> str:
    parse_expose(text, where="--expose")
    return text


def _check_host(text: str) -> str:
    parse_allow_list((text,), ())
    return text


def _check_origin(text: str) -> str:
    parse_allow_list((), (text,))
    return text


def make_seconds_value(minimum: float) -> Value:
    """Make the type for a number of seconds, at least ``minimum``."""
    return Value("number of seconds", f"give {minimum:g} or more, such as 40", _make_seconds_parser(minimum))


GIB = Value("size", "give GiB above 0, such as 10 or 0.5", parse_gib)
PORT = Value("port", "a number from 1 to 65535", _parse_port)
PORT_PAIR = Value("pair of ports", "a port here and a port of the service, as in 18020:8020", _parse_port_pair)
SECONDS = make_seconds_value(0)
TIMEOUT = Value("number of seconds", "give more than 0, such as 60", _make_seconds_parser(0, is_minimum_valid=False))
GPUS = Value("number of GPUs", "all, none, or a number such as 1", _parse_gpus)
EXPOSE = Value("list of categories", "such as parameters,files", _check_expose)
HOST = Value("host name", "such as box.example", _check_host)
ORIGIN = Value("origin", "such as https://app.example", _check_origin)
METHOD = Value("public method", f"use {', '.join(_METHODS[:-1])} or {_METHODS[-1]}", _parse_method)
RULE = RuleName()
FILE = FilePath()
