"""Path templates: the variables in ``/voices/{voice_id}/{file:path}``, and their forms in other frameworks. Pure.

Three forms are used inside: ``{name}``, ``{name:path}`` (or RFC 6570's ``{name+}``), whose value may contain slashes, and
RFC 6570's ``{/name}``, an optional segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import NamedTuple

# A variable without a name ({}, {*}, {:path}) is text: no caller can set it.
VARIABLE = re.compile(r"\{(?!(?:\+|\*|:path)?\})([^{}]*)\}")
_NAMELESS = re.compile(r"\{(?:\+|\*|:path)?\}|(?<=/)\*{1,2}(?=/|\?|#|\Z)")
_SLASHES_OPERATOR = re.compile(r"(?:\+|\*|:path)\Z")
_NORMAL = re.compile(r"/?[^:*+/?&;,=()\[\]]+(?:\+|\*|:path)")
_NAME = r"[^\W\d]\w*"
_UNSUPPORTED = re.compile(rf"\{{(?:[#;.]{_NAME}[^{{}}]*|{_NAME}:\d+)\}}|<[^<>/]*>|\(\.?:{_NAME}\)")
# RFC 6570: {.name} is a dot and the value, {;name} is ";name=" and the value.
_AFFIXED = re.compile(rf"([.;])({_NAME}(?:,{_NAME})*)")

# FastAPI, Starlette, aiohttp, Spring, JAX-RS, Go: {name:constraint}, in ASP.NET also {name:int?} and {name=default}.
_BRACES = re.compile(
    r"(?P<before>\*{1,2}|\+|/:)?(?P<name>[^\W\d][\w-]*(?:\.[\w-]+)*)(?P<dots>\.\.\.)?(?::(?P<rule>(?!\d+\Z).+?))?(?P<optional>\?|=.*)?",
    re.DOTALL,
)
_QUERY_NAMES = re.compile(rf"[?&]({_NAME}\*?(?:,{_NAME}\*?)*)")
_SEVERAL_NAMES = re.compile(rf"{_NAME}(?:,{_NAME})+")
# Flask and Django: <name>, <int:name>, <any(a, b):name>; Rocket: <name..>.
_ANGLES = re.compile(rf"<(?:(?P<rule>\w+)(?:\([^<>()]*\))?:)?(?P<name>{_NAME})(?P<dots>\.\.)?>")
# Express, Rails, Gin: :name, :name?, :name*, :name(\\d+), *name.
_COLON = re.compile(
    rf":(?P<name>{_NAME})(?P<rule>\((?:[^()]|\([^()]*\))*\))?(?P<operator>\?(?=/|#|\Z)|[*+](?=/|\?|#|\Z))?(?=[-./?#]|\Z)"
)
_STAR = re.compile(rf"\*(?P<name>{_NAME})(?=/|\?|#|\Z)")
# Next.js, SvelteKit: [name], [...name], [[...name]].
_BRACKETS = re.compile(rf"(?P<optional>\[)?\[(?P<dots>\.\.\.)?(?P<name>{_NAME})(?:=\w+)?\](?(optional)\])(?=/|\?|#|\Z)")
_TYPE = re.compile(r"[A-Za-z]\w*(?:\([^()]*\))?(?::[A-Za-z]\w*(?:\([^()]*\))?)*")
_PATH = re.compile(r"(?:\{[^{}]*\}|[^?#])*")
_MAX_RULE_LENGTH = 200


class PathVariable(NamedTuple):
    """A variable of a normalised template, at ``start`` to ``end``. An optional one includes the slash before it."""

    name: str
    start: int
    end: int
    has_slashes: bool = False
    is_optional: bool = False


class NormalTemplate(NamedTuple):
    """A normalised template, and the names of the query parameters that RFC 6570's ``{?a,b}`` declared in it."""

    text: str
    query_names: tuple[str, ...] = ()


def find_variables(template: str, declared: Container[str] = ()) -> tuple[PathVariable, ...]:
    """Return the variables of a normalised ``template``; ``declared`` as in ``parse_variable_name``."""
    return tuple(
        PathVariable(
            parse_variable_name(match[1], declared),
            *match.span(),
            has_slashes=match[1] not in declared and bool(_SLASHES_OPERATOR.search(match[1])),
            is_optional=match[1] not in declared and match[1].startswith("/"),
        )
        for match in VARIABLE.finditer(template)
    )


def parse_variable_name(text: str, declared: Container[str] = ()) -> str:
    """Return the name of the variable ``{text}`` for callers: without its operator, unless it is ``declared`` with it."""
    return text if text in declared else _SLASHES_OPERATOR.sub("", text).removeprefix("/")


def find_nameless_variable(template: str) -> str | None:
    """Return the first variable in ``template`` without a name, also a segment ``*`` or ``**``; or None."""
    match = _NAMELESS.search(_without_query(template))
    return match[0] if match else None


def find_template_problem(template: str, declared: Container[str] = ()) -> str | None:
    """Return why callers cannot fill the normalised ``template``, with what to write in its place; or None.

    A variable whose text is ``declared`` has that name, whatever it is.
    """
    if variable := find_nameless_variable(template):
        literal = "%2A for a literal star" if "{" not in variable else "%7B and %7D for literal braces"
        return f"{variable} in {template!r} has no name, so callers cannot set it: name it, or write {literal}"
    for match in _UNSUPPORTED.finditer(_without_query(template)):
        if match[0][1:-1] in declared:
            continue
        return f"{match[0]} in {template!r} is not a supported form of a variable: write {{name}} or {{name:path}}"
    return None


def normalise_template(template: str, declared: Container[str] = ()) -> NormalTemplate:
    """Return ``template`` with the variables of all frameworks in the forms of this module. Idempotent.

    A variable whose text is ``declared`` is unchanged. So are the query and the fragment of the template, and whatever
    is not certainly a variable: ``/v1/{name}:predict`` contains one variable.
    """
    return _Normaliser(template, declared).run()


class _Normaliser:
    """The state of one run: the position in the template, and what was written so far."""

    def __init__(self, template: str, declared: Container[str]) -> None:
        self._template = template
        self._declared = declared
        self._written: list[str] = []
        self._query_names: list[str] = []
        self._is_in_colon_segment = False

    def run(self) -> NormalTemplate:
        position = 0
        while position < len(self._template) and self._template[position] not in "?#":
            position = self._read(position)
        return NormalTemplate("".join([*self._written, self._template[position:]]), tuple(self._query_names))

    def _read(self, position: int) -> int:
        """Write what begins at ``position``, and return where it ends."""
        character, previous = self._template[position], self._template[position - 1 : position]
        read = _READERS.get(character)
        if character == ":" and not (previous == "/" or (self._is_in_colon_segment and previous in ("-", "."))):
            read = None
        if character in "*[" and previous != "/":
            read = None
        end = read(self, position) if read else None
        if end is None:
            self._written.append(character)
            end = position + 1
        self._is_in_colon_segment = (self._is_in_colon_segment or character == ":") and character != "/"
        return end

    def _read_braces(self, position: int) -> int | None:
        end = _find_closing_brace(self._template, position)
        if end is None:
            return None
        text = self._template[position + 1 : end - 1]
        if text in self._declared:
            self._written.append(self._template[position:end])
        elif match := _QUERY_NAMES.fullmatch(text):
            self._query_names += [name.rstrip("*") for name in match[1].split(",")]
        elif match := _AFFIXED.fullmatch(text):
            names = match[2].split(",")
            self._written += [f".{{{name}}}" if match[1] == "." else f";{name}={{{name}}}" for name in names]
        elif _SEVERAL_NAMES.fullmatch(text):
            self._written.append(",".join(f"{{{name}}}" for name in text.split(",")))
        elif _SLASHES_OPERATOR.search(text) and _NORMAL.fullmatch(text):
            self._written.append(self._template[position:end])
        elif match := _BRACES.fullmatch(text):
            has_slashes = match["before"] in ("*", "**", "+") or bool(match["dots"]) or _allows_slash(match["rule"])
            if match["before"] == "/:":
                self._written.append(f"{{/{match['name']}}}")
            else:
                self._write(match["name"], has_slashes=has_slashes, is_optional=bool(match["optional"]))
        else:
            return None
        return end

    def _read_angles(self, position: int) -> int | None:
        match = _ANGLES.match(self._template, position)
        return self._write_match(match, bool(match["dots"]) or match["rule"] == "path") if match else None

    def _read_colon(self, position: int) -> int | None:
        match = _COLON.match(self._template, position)
        if match is None:
            return None
        operator = match["operator"] or ""
        has_slashes = operator in ("*", "+") or _allows_slash(match["rule"])
        return self._write_match(match, has_slashes, is_optional=operator in ("?", "*"))

    def _read_star(self, position: int) -> int | None:
        match = _STAR.match(self._template, position)
        return self._write_match(match, True) if match else None

    def _read_brackets(self, position: int) -> int | None:
        match = _BRACKETS.match(self._template, position)
        return self._write_match(match, bool(match["dots"]), is_optional=bool(match["optional"])) if match else None

    def _write_match(self, match: re.Match[str], has_slashes: bool, *, is_optional: bool = False) -> int:
        self._write(match["name"], has_slashes=has_slashes, is_optional=is_optional)
        return match.end()

    def _write(self, name: str, *, has_slashes: bool, is_optional: bool) -> None:
        # An optional variable is a segment of its own, and the path keeps its first slash.
        if is_optional and len(self._written) > 1 and self._written[-1] == "/":
            self._written[-1] = f"{{/{name}{'*' if has_slashes else ''}}}"
        else:
            self._written.append(f"{{{name}:path}}" if has_slashes else f"{{{name}}}")


_READERS: dict[str, Callable[[_Normaliser, int], int | None]] = {
    "{": _Normaliser._read_braces,
    "<": _Normaliser._read_angles,
    ":": _Normaliser._read_colon,
    "*": _Normaliser._read_star,
    "[": _Normaliser._read_brackets,
}


def _find_closing_brace(text: str, start: int) -> int | None:
    """Return the position after the brace that closes the one at ``start``; regular expressions may contain pairs."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return None


def _allows_slash(rule: str | None) -> bool:
    """Return whether the constraint or regular expression ``rule`` of a variable allows values with slashes."""
    if not rule or len(rule) > _MAX_RULE_LENGTH or _TYPE.fullmatch(rule):
        return rule == "path"
    try:
        return re.fullmatch(rule.strip(), "a/b") is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _without_query(template: str) -> str:
    match = _PATH.match(template)
    return match[0] if match else ""
