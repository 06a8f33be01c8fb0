"""What programs and files of a checkout contain, as facts: names with a plain value, which can be compared.

The names join the keys and indices of JSON: ``"--status morse-example --json / stdout / hot": True``.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

EXIT_CODE = "exit code"
# Flags that every command has, in the list of commands.
_NO_COMMANDS = ("debug", "version")


def flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a fact for each plain value in ``value``, and one for each empty object or list."""
    if not isinstance(value, (dict, list)) or not value:
        yield name, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from flatten(part, f"{name} / {key}")


def parse_output(text: str) -> Any:
    """Parse standard output as one JSON document, or as lines of JSON, of which the first counts; else return it as text."""
    for candidate in (text, text.partition("\n")[0]):
        with contextlib.suppress(ValueError):
            return json.loads(candidate)
    return text


def parse_sections(text: str) -> dict[str, list[str]]:
    """Parse command lines below ``[section]``; comments and empty lines are left out."""
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            sections[line[1:-1]] = []
        elif line and not line.startswith("#"):
            sections[[*sections][-1]].append(line)
    return sections


def parse_flags(help_text: str) -> list[str]:
    """Return the flags of a command's help with their metavariables."""
    return re.findall(r"^  (-\S.*?)(?:  .*)?$", help_text, re.M)


def parse_commands(help_text: str) -> list[str]:
    """Return the commands in the list of all commands."""
    found = re.findall(r"^  --([a-z][a-z-]*)(?: \S.*?)? {2,}\S", help_text, re.M)
    return [name for name in found if name not in _NO_COMMANDS]


def parse_module(source: str) -> dict[str, str]:
    """Return the source of what a module assigns, by the source of the target."""
    assignments = (each for each in ast.parse(source).body if isinstance(each, ast.Assign))
    return {ast.unparse(each.targets[0]): ast.unparse(each.value) for each in assignments}


def find_names(source: str) -> set[str]:
    """Find names in capitals that a string begins with or a shell expands: variables of environments and modules."""
    return set(re.findall(r"""(?:["']|\$\{?)(_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b""", source))
