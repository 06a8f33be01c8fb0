"""Code review of a module's source for patterns that the platform bans (PLATFORM.md, section 4). Pure.

Since February 2026 the platform judges after the deployment, with a language model. This finds only the two patterns that
it is known to ban, so it can only warn.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_EXECUTING_CALLS = frozenset({"exec", "eval", "compile"})
_DECODING_CALLS = frozenset(
    {"b16decode", "b32decode", "b64decode", "urlsafe_b64decode", "a85decode", "b85decode", "unhexlify", "fromhex"}
    | {"decompress"}
)
_CORD = "cord"


def find_objection(code: str) -> str | None:
    """Return why the module may be banned, or None. Source that does not parse is not judged."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    called_names = {_name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if called_names & _EXECUTING_CALLS and called_names & _DECODING_CALLS:
        return "the code is obfuscated: it decodes text and runs it"
    constant = next(_find_constant_cords(tree), None)
    return f"the cord {constant!r} returns a constant" if constant else None


def _find_constant_cords(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(_is_handled_cord(decorator) for decorator in node.decorator_list) and _is_constant_body(node.body):
            yield node.name


def _is_handled_cord(decorator: ast.expr) -> bool:
    """Whether it is ``@….cord(…)`` of a function that runs: the body of a passthrough cord is never run."""
    if not isinstance(decorator, ast.Call) or _name_of(decorator.func) != _CORD:
        return False
    return not any(keyword.arg == "passthrough" for keyword in decorator.keywords)


def _is_constant_body(body: list[ast.stmt]) -> bool:
    statements = [statement for statement in body if not _is_docstring(statement)]
    if len(statements) != 1 or not isinstance(statements[0], ast.Return) or statements[0].value is None:
        return False
    try:
        ast.literal_eval(statements[0].value)
    except (ValueError, TypeError):
        return False
    return True


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
