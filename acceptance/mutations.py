"""Mutants of a module's source: Cosmic Ray's operators, and two additional ones.

Each position of the source is listed once, with its alternatives, so that a sample does not consist of the eleven replacements of
every ``+``. Annotations, docstrings and log lines are skipped.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_Position = tuple[int, int]
_NOT_REMOVED = ("import_name", "import_from", "string", "strings", "fstring", "keyword", "yield_expr", "global_stmt")
# These operators require arguments.
_WITHOUT_DEFAULTS = ("core/VariableReplacer", "core/VariableInserter")


class _Operator(Protocol):
    def mutation_positions(self, node: Any) -> Iterator[tuple[_Position, _Position]]: ...

    def mutate(self, node: Any, index: int) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of ``module`` (a path below the tree's root): the ``occurrence``-th position that ``operator`` changes."""

    module: str
    operator: str
    occurrence: int
    line: int

    def source(self, root: Path) -> str | None:
        """Return the mutated source; None if it is not valid Python, or does not differ."""
        original = (root / self.module).read_text(encoding="utf-8")
        try:
            mutated = mutate_code(original, _operators()[self.operator], self.occurrence)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(mutated or "(", self.module, "exec")
        except (SyntaxError, AttributeError):  # Cosmic Ray's ExceptionReplacer does not support dotted names
            return None
        return None if mutated == original else str(mutated)


def sample_mutants(root: Path, modules: list[str], *, count: int, seed: int) -> list[Mutant]:
    """Sample at most ``count`` mutants at different positions of ``modules``; equal for equal seeds and sources."""
    choices = random.Random(seed)
    candidates = [place for module in modules for place in _find_mutants(root, module)]
    choices.shuffle(candidates)
    chosen: list[Mutant] = []
    for alternatives in candidates:
        mutant = choices.choice(alternatives)
        if len(chosen) < count and mutant.source(root) is not None:
            chosen.append(mutant)
    return sorted(chosen, key=lambda mutant: (mutant.module, mutant.line, mutant.operator, mutant.occurrence))


def _find_mutants(root: Path, module: str) -> list[list[Mutant]]:
    mutants_by_position: dict[tuple[str, _Position, _Position], list[Mutant]] = {}
    nodes = list(ast_nodes(get_ast((root / module).read_text(encoding="utf-8"))))
    for name, operator in _operators().items():
        positions = [(node, position) for node in nodes for position in operator.mutation_positions(node)]
        for occurrence, (node, (start, end)) in enumerate(positions):
            if not _is_annotation(node):
                mutant = Mutant(module=module, operator=name, occurrence=occurrence, line=start[0])
                mutants_by_position.setdefault((name.partition("_")[0], start, end), []).append(mutant)
    return list(mutants_by_position.values())


@cache
def _operators() -> dict[str, _Operator]:
    theirs: dict[str, _Operator] = {
        name: get_operator(name)() for name in operator_names() if name not in _WITHOUT_DEFAULTS
    }
    return {**theirs, "RemoveStatement": _RemoveStatement(), "RemoveElement": _RemoveElement()}


def _is_annotation(node: Any) -> bool:
    """Return whether ``node`` is inside the annotation of a variable, a parameter or a result."""
    while (parent := node.parent) is not None:
        position = {"annassign": 1, "tfpdef": 2}.get(parent.type)
        annotation = parent.annotation if parent.type == "funcdef" else position and parent.children[position]
        if node is annotation:
            return True
        node = parent
    return False


class _RemoveStatement:
    """A statement with an effect → ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[_Position, _Position]]:
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        statement = parso.parse("pass\n").children[0]
        statement.children[0].prefix = node.get_first_leaf().prefix
        return statement


def _has_effect(statement: Any) -> bool:
    """Return whether a removal is useful: the removal of a plain assignment is only a NameError."""
    if statement.type == "expr_stmt":
        return bool(statement.children[0].type != "name" or statement.children[1].type == "augassign")
    return statement.type not in _NOT_REMOVED and not statement.get_code(include_prefix=False).startswith("logger.")


class _RemoveElement:
    """A list, tuple, set or dictionary display → the same without one element."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[_Position, _Position]]:
        for element in self._elements(node):
            yield element[0].start_pos, element[-1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        elements = self._elements(node)
        node.children = [
            part
            for element in (*elements[:index], *elements[index + 1 :])
            for part in (*element, parso.python.tree.Operator(",", element[-1].end_pos))
        ]
        return node

    def _elements(self, node: Any) -> list[list[Any]]:
        if node.type not in ("testlist_comp", "dictorsetmaker") or node.parent.type != "atom":
            return []
        elements: list[list[Any]] = [[]]
        for child in node.children:
            if child.type in ("sync_comp_for", "comp_for"):
                return []
            if child == ",":
                elements.append([])
            else:
                elements[-1].append(child)
        return [element for element in elements if element]
