"""What a look at a module's source finds that the platform bans (PLATFORM.md, section 4). Pure.

The platform lets a language model judge; this finds the two patterns that are known to be refused, and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_RUNS_TEXT = frozenset({"exec", "eval", "compile"})
_DECODES = frozenset(
    {"b16decode", "b32decode", "b64decode", "urlsafe_b64decode", "a85decode", "b85decode", "unhexlify", "fromhex"}
    | {"decompress"}
)
_CORD = "cord"


def objection(code: str) -> str | None:
    """Why the module would be refused, or None. Source that cannot be read is left to those who run it."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    called = {_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if called & _RUNS_TEXT and called & _DECODES:
        return "the code is obfuscated: it decodes text and runs it"
    constant = next(_constant_cords(tree), None)
    return f"the cord {constant!r} answers a constant" if constant else None


def _constant_cords(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(_is_own_cord(decorator) for decorator in node.decorator_list) and _answers_constant(node.body):
            yield node.name


def _is_own_cord(decorator: ast.expr) -> bool:
    """Whether it is ``@….cord(…)`` of a function that answers itself: the body of a passthrough is never run."""
    if not isinstance(decorator, ast.Call) or _name(decorator.func) != _CORD:
        return False
    return not any(keyword.arg == "passthrough" for keyword in decorator.keywords)


def _answers_constant(body: list[ast.stmt]) -> bool:
    said = [statement for statement in body if not _is_docstring(statement)]
    if len(said) != 1 or not isinstance(said[0], ast.Return) or said[0].value is None:
        return False
    try:
        ast.literal_eval(said[0].value)
    except (ValueError, TypeError):
        return False
    return True


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
