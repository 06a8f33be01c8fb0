"""Problems in the source of a module that the platform would reject or that would fail there. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.code_review import find_objection
from chutes_wrappers.host.preflight.problem import Problem

_BYTE_ORDER_MARK = "\ufeff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_OUR_PACKAGES = ("tools", "chutes_wrappers")


def find_source_problems(facts: ModuleFacts, described: Mapping[str, Any], code: str) -> Iterator[Problem]:
    """Yield the problems of the module's file: its name, length and imports, and the secrets in it.

    ``code`` is its text as the SDK reads it, with a lone surrogate for each byte that is not UTF-8. ``described`` is what it
    defines (``sdk/describe.py``).
    """
    yield from _find_file_name_problems(facts)
    yield from _find_length_problems(facts, code)
    yield from _find_encoding_problems(facts, code)
    code = code.removeprefix(_BYTE_ORDER_MARK).encode(errors="replace").decode()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        yield _make_syntax_problem(facts, error)
        return
    yield from _find_objections(facts, code)
    yield from _find_annotation_problems(facts, tree)
    yield from _find_package_problems(facts, described, tree)
    yield from _find_secret_problems(facts, described, tree)


def _find_file_name_problems(facts: ModuleFacts) -> Iterator[Problem]:
    if not platform_rules.MODULE_FILE.match(facts.path.name):
        yield Problem(
            rule="module-file",
            what=f"the platform does not accept the file name {facts.path.name!r}",
            where=str(facts.path),
            fix="rename it: a lower case letter, then lower case letters, digits or '_', then .py",
        )


def _find_length_problems(facts: ModuleFacts, code: str) -> Iterator[Problem]:
    if len(code) > platform_rules.MAX_SOURCE_LENGTH:
        yield Problem(
            rule="source-length",
            what=f"the module has {len(code):,} characters, more than {platform_rules.MAX_SOURCE_LENGTH:,}",
            where=str(facts.path),
            fix="keep the module thin: move data and logic into the image that it wraps",
        )


def _find_encoding_problems(facts: ModuleFacts, code: str) -> Iterator[Problem]:
    """Yield problems of texts that Python imports, but that the API cannot parse, or the SDK not read (entrypoint/deploy.py)."""
    if code.startswith(_BYTE_ORDER_MARK):
        yield Problem(
            rule="module-syntax",
            what="the file begins with a byte order mark, which the platform takes for invalid syntax",
            where=f"{facts.path}, line 1",
            fix="save it as UTF-8 without a byte order mark",
            only_on_platform=True,
        )
    line = next((number for number, text in enumerate(code.split("\n"), 1) if _SURROGATE.search(text)), None)
    if line is not None:
        yield Problem(
            rule="",
            what="the file is not UTF-8 text, so the SDK cannot upload it",
            where=f"{facts.path}, line {line}",
            fix="save it as UTF-8",
            only_on_platform=True,
        )


def _make_syntax_problem(facts: ModuleFacts, error: Exception) -> Problem:
    line = getattr(error, "lineno", None)
    return Problem(
        rule="module-syntax",
        what=f"the module is not valid Python: {getattr(error, 'msg', error)}",
        where=f"{facts.path}, line {line}" if line else str(facts.path),
        fix="correct the syntax",
    )


def _find_objections(facts: ModuleFacts, code: str) -> Iterator[Problem]:
    if objection := find_objection(code):
        yield Problem(
            rule="code-review",
            what=f"{objection}. Since February 2026 the platform's watchtower judges modules after their deployment, and may "
            "ban the chute",
            where=str(facts.path),
            fix="write the code in plain text, and let each cord compute its response",
            severity="warning",
        )


def _find_annotation_problems(facts: ModuleFacts, tree: ast.Module) -> Iterator[Problem]:
    futures = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__")
    for node in futures:
        if any(alias.name == "annotations" for alias in node.names):
            # Reported by users who deploy (PLATFORM.md, section 6), hence only a warning.
            yield Problem(
                rule="future-annotations",
                what="`from __future__ import annotations` is reported to break a module's start on the platform",
                where=f"{facts.path}, line {node.lineno}",
                fix="remove the line, and quote the annotations that need it",
                severity="warning",
            )


def _find_package_problems(facts: ModuleFacts, described: Mapping[str, Any], tree: ast.Module) -> Iterator[Problem]:
    if described["image"]["holds_toolkit"] or not (package_import := _find_package_import(tree)):
        return
    node, name = package_import
    # An image that is only a reference was built earlier; its content is not known here.
    is_unknown = described["image"]["holds_toolkit"] is None
    yield Problem(
        rule="toolkit-import",
        what=f"the module imports `{name}`, which its image {'may not' if is_unknown else 'does not'} contain",
        where=f"{facts.path}, line {node.lineno}",
        fix="build the image with build_wrapper_image, which adds the package",
        severity="warning" if is_unknown else "rejected",
    )


def _find_package_import(tree: ast.Module) -> tuple[ast.stmt, str] | None:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            if isinstance(node, ast.stmt) and name.split(".")[0] in _OUR_PACKAGES:
                return node, name
    return None


def _find_secret_problems(facts: ModuleFacts, described: Mapping[str, Any], tree: ast.Module) -> Iterator[Problem]:
    """Yield secrets that are literals in the file, which `--build --local` copies into the image, or in the image's ENV.

    A value that CHUTE_ENV reads from ``os.environ`` is set on the instance only by ``--secret``.
    """
    literals = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    image_variables = {*described["image"]["env"]}
    for name, value in facts.env.items():
        if value and platform_rules.SECRET_NAME.search(name) and (value in literals or name in image_variables):
            yield Problem(
                rule="",
                what=f"{name} looks like a secret, and its value would be in an image layer that others can read",
                where=f"{facts.path}, CHUTE_ENV",
                fix=f"remove the value, and store it with {NAMES.deploy} --secret {facts.chute_name} {name}",
                severity="warning",
            )
