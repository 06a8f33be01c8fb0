"""The lines of a report that are to be pasted into a module, as one assignment to each variable. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_ASSIGNMENT = re.compile(r"(CHUTE_[A-Z_]+) = ([\[{].*[\]}])$", re.MULTILINE)
_INDENT = "    "


def merge_lines(texts: Iterable[str], known: Collection[str]) -> str:
    """Return the assignments in ``texts``, merged by variable; empty if they can be pasted as they are.

    They cannot if two are to one variable, or if one is to a variable of ``known``, which the module has already. The last
    assignment would replace the others.
    """
    values: dict[str, list[str]] = {}
    for text in texts:
        for name, value in _ASSIGNMENT.findall(text):
            entries = values.setdefault(name, [])
            if value not in entries:
                entries.append(value)
    if all(len(entries) == 1 and name not in known for name, entries in values.items()):
        return ""
    return "\n".join(line for name, entries in values.items() for line in _format_assignment(name, entries, known))


def _format_assignment(name: str, values: list[str], known: Collection[str]) -> list[str]:
    first, last = values[0][0], values[0][-1]
    return [
        f"{_INDENT}{name} = {first}",
        *([f"{_INDENT * 2}# and the entries that the module has"] if name in known else []),
        *(f"{_INDENT * 2}{value[1:-1]}," for value in values),
        f"{_INDENT}{last}",
    ]
