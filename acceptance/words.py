"""How this project's words and places measure: names, messages, sentences, modules and the subjects of commits.

``python acceptance/words.py [FOLDER …]`` prints one column for each checkout of the project, for example one before a change
and one after it. ``--list MEASURE`` prints the places of one measure. ``tests/test_words.py`` holds what must stay at zero.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST_SENTENCE = 25  # words
LONGEST_SUBJECT = 72  # characters
SMALL_MODULE = 40  # lines

VAGUE_NAMES = frozenset(
    {"told", "found", "named", "wanted", "given", "said", "shown", "heard", "seen", "kept", "asked", "meant"}
)
# Participles without -ed, and words in -ed that are none.
PARTICIPLES = VAGUE_NAMES | {
    "built",
    "held",
    "left",
    "made",
    "sent",
    "taken",
    "written",
    "known",
    "begun",
    "broken",
    "gone",
}
NOT_PARTICIPLES = frozenset({"embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "succeed"})

# What messages said before, and why readers stumbled. `there is no X` and `is no longer` are plain.
OLD_MESSAGES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!there )\b(is|are|was|were) (no(?! longer\b| more than\b)|none)\b",
        r"\bmeans? (something|nothing)\b",
        r"\bstands? behind\b",
        r"\blook again\b",
        r"\bnobody can be asked\b",
        r"\b(is|are|was|were) (not )?(told|asked for)\b",
        r"\b(is|was|were) there again\b",
        r"\banswers? is none\b",
        r"\bwas not taken\b",
        r"\bis well\b",
        r"\btravels? as\b",
        r"\bspeaks? of\b",
        r"\bwithout a meaning\b",
        r"\bshows it come\b",
        r"\bhow an? \w+ stands\b",
        r"\brehears",
        r"\bpatience\b|\bmenagerie\b|\bgoes? astray\b|\bthereof\b",
    )
)


@dataclass(frozen=True, kw_only=True)
class Module:
    """A Python file of the package: ``name`` is dotted, ``text`` its source."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    @property
    def base(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @cached_property
    def docstrings(self) -> dict[int, str]:
        """Every docstring, by its first line's number."""
        holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, holders) and ast.get_docstring(node)]
        return {node.body[0].lineno: ast.get_docstring(node) or "" for node in nodes}

    @cached_property
    def messages(self) -> list[tuple[int, str]]:
        """Every string of two words or more that is not a docstring, with ``{}`` for each value in it."""
        return [(line, text) for line, text in _strings(self.tree) if " " in text and line not in self.docstrings]


def read_modules(root: Path) -> list[Module]:
    """The modules of the package in the checkout ``root``, without the packages' own files."""
    paths = sorted((root / "chutes_wrappers").rglob("*.py"))
    return [
        Module(name=".".join(path.relative_to(root).with_suffix("").parts), text=path.read_text(encoding="utf-8"))
        for path in paths
        if path.name != "__init__.py"
    ]


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {part for node in formatted for part in node.values}
    for node in formatted:
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        yield node.lineno, "".join(str(part) for part in parts)
    for constant in ast.walk(tree):
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and constant not in inside:
            yield constant.lineno, constant.value


def is_participle(function: str) -> bool:
    """Whether a function's name is one participle, which does not say what the function does."""
    word = function.strip("_")
    is_regular = word.endswith("ed") and len(word) > 3 and word not in NOT_PARTICIPLES
    return "_" not in word and (is_regular or word in PARTICIPLES)


def is_old(text: str) -> bool:
    """Whether ``text`` has words that OLD_MESSAGES lists."""
    return any(pattern.search(text) for pattern in OLD_MESSAGES)


def long_sentences(text: str) -> list[str]:
    """The sentences of ``text`` with more than LONGEST_SENTENCE words."""
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\.))", text)
    sentences = [sentence for part in paragraphs for sentence in re.split(r"(?<=[.!?])\s+", part)]
    split = [re.findall(r"\S*\w\S*", sentence) for sentence in sentences]
    return [" ".join(parts) for parts in split if len(parts) > LONGEST_SENTENCE]


def assigned_names(module: Module) -> Iterator[tuple[int, str]]:
    """Every name that the module assigns to."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def find_assigned(names: frozenset[str]) -> Callable[[Module], Iterator[str]]:
    """A measure: where one of ``names`` is assigned to."""

    def find(module: Module) -> Iterator[str]:
        return (f"{line}: {name}" for line, name in assigned_names(module) if name in names)

    return find


def find_functions(module: Module) -> Iterator[str]:
    """All functions."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{node.lineno}: {node.name}"


def find_participles(module: Module) -> Iterator[str]:
    """Functions that are called by a participle."""
    return (place for place in find_functions(module) if is_participle(place.partition(": ")[2]))


def find_old_messages(module: Module) -> Iterator[str]:
    """Messages in words that OLD_MESSAGES lists."""
    return (f"{line}: {text}" for line, text in module.messages if is_old(text))


def find_old_docstrings(module: Module) -> Iterator[str]:
    """Docstrings in such words; those of commands are the texts of ``--help``."""
    return (f"{line}: {text}" for line, text in module.docstrings.items() if is_old(text))


def find_long_sentences(module: Module) -> Iterator[str]:
    """Sentences of docstrings and messages that are too long."""
    for line, text in [*module.docstrings.items(), *module.messages]:
        yield from (f"{line}: {sentence}" for sentence in long_sentences(text))


def find_lines(module: Module) -> Iterator[str]:
    """All lines."""
    return iter(module.text.splitlines())


MEASURES: dict[str, Callable[[Module], Iterator[str]]] = {
    "lines": find_lines,
    "functions": find_functions,
    "functions named by a participle": find_participles,
    "assignments to answer": find_assigned(frozenset({"answer", "answers", "answered"})),
    "assignments to response": find_assigned(frozenset({"response", "responses"})),
    "assignments to vague nouns": find_assigned(VAGUE_NAMES),
    "messages in old words": find_old_messages,
    "docstrings in old words": find_old_docstrings,
    f"sentences over {LONGEST_SENTENCE} words": find_long_sentences,
}


def repeated_names(modules: list[Module]) -> list[str]:
    """Base names that three modules or more have."""
    counts = Counter(module.base for module in modules)
    return sorted(name for name, count in counts.items() if count > 2)


def shadowing_names(modules: list[Module]) -> list[str]:
    """Base names that the standard library or an installed package has too."""
    taken = sys.stdlib_module_names | packages_distributions().keys()
    return sorted({module.base for module in modules if not module.base.startswith("_")} & taken)


def importers(modules: list[Module]) -> dict[str, set[str]]:
    """Each module's name, and the names of the modules that import it."""
    result: dict[str, set[str]] = {module.name: set() for module in modules}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
                for name in names & result.keys():
                    result[name].add(module.name)
    return result


def small_modules(modules: list[Module]) -> list[str]:
    """Modules of fewer than SMALL_MODULE lines that one module imports."""
    imported_by = importers(modules)
    return [
        module.name
        for module in modules
        if module.text.count("\n") < SMALL_MODULE and len(imported_by[module.name]) == 1
    ]


def subjects_since(commit: str, root: Path = ROOT) -> list[str] | None:
    """The subjects of the commits after ``commit``; None where the history does not have it."""
    command = ["git", "-C", str(root), "log", "--format=%s", f"{commit}..HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else None


def main(arguments: list[str] | None = None) -> int:
    """Print the measures of each checkout; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT], help="checkouts of the project")
    parser.add_argument("--list", choices=[*MEASURES], metavar="MEASURE", help=f"one of: {', '.join(MEASURES)}")
    options = parser.parse_args(arguments)
    checkouts = [read_modules(folder) for folder in options.folders]
    if options.list:
        for module in (module for modules in checkouts for module in modules):
            for place in MEASURES[options.list](module):
                print(f"{module.name.replace('.', '/')}.py:{place}")
        return 0
    rows = [
        (name, [sum(1 for m in modules for _ in find(m)) for modules in checkouts]) for name, find in MEASURES.items()
    ]
    rows.append(("modules", [len(modules) for modules in checkouts]))
    rows.append(("small modules with one importer", [len(small_modules(modules)) for modules in checkouts]))
    rows.append(("names of three modules or more", [len(repeated_names(modules)) for modules in checkouts]))
    rows.append(("names that shadow a library", [len(shadowing_names(modules)) for modules in checkouts]))
    for name, counts in rows:
        print(f"{name:<36}", *(f"{count:>8}" for count in counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
