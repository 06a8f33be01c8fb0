"""A text for a regular expression of a schema (``pattern``). Pure, and bounded for any expression.

Supported is what patterns of specifications use: literals, classes, quantifiers, groups, alternatives, anchors, back-references.
Look-arounds are skipped. A candidate is checked with ``re``, so an unsupported expression has no example. Only for an expression
with which ``re`` may never end the candidate is not checked.
"""

from __future__ import annotations

import functools
import math
import re
import string
import warnings

_MAX_PATTERN_LENGTH = 2_000
_MAX_TEXT_LENGTH = 20_000
_MAX_GROUPS = 40
_PREFERRED = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_-. /:@+#" + string.punctuation
_CLASSES = {
    "d": string.digits,
    "w": string.ascii_lowercase + string.ascii_uppercase + string.digits + "_",
    "s": " \t\n\r\f\v",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_QUANTIFIER = re.compile(r"\{(\d*)(,?)(\d*)\}")
_GROUP_START = re.compile(r"\?(?:P?<[A-Za-z_][A-Za-z0-9_]*>|:|[a-zA-Z-]+:|[a-zA-Z]+(?=\)))")
# ECMA 262's spellings that Python does not have.
# Of one search with ``re``, as a power of two: about a tenth of a second.
_MAX_SEARCH_STEPS = 22
_TOKEN = re.compile(
    r"(?P<open>\((?:\?(?:P?<\w+>|<?[=!]|[a-zA-Z-]*:|))?)|(?P<repeat>(?:[*+?]|\{\d*,?\d*\})[?+]?)"
    r"|(?P<other>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)",
    re.DOTALL,
)
_DIALECT = ((re.compile(r"\(\?<([A-Za-z_])"), r"(?P<\1"), (re.compile(r"\\z|\\Z"), r"\\Z"))


def build_matching_text(pattern: str, min_length: int = 0, max_length: int | None = None) -> str | None:
    """Return a text with ``pattern`` in it, of the given length; None if none was found."""
    expression = _compile(pattern)
    if expression is None:
        return None
    longest = _MAX_TEXT_LENGTH if max_length is None else max_length
    unchecked = None
    for repetitions in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, min_length, 64, 0):
        try:
            text = _Generator(pattern, repetitions).build()
        except (_Unsupported, IndexError, RecursionError):
            return None
        if not min_length <= len(text) <= longest:
            continue
        if not _is_searchable(pattern, len(text)):
            unchecked = text if unchecked is None else unchecked
        elif expression.search(text):
            return text
    return unchecked


def has_match(pattern: str, text: str) -> bool:
    """Return whether ``pattern`` is in ``text``; True for an expression that Python cannot read, or not search in time."""
    expression = _compile(pattern)
    if expression is None or len(text) > _MAX_TEXT_LENGTH or not _is_searchable(pattern, len(text)):
        return True
    return bool(expression.search(text))


@functools.lru_cache(maxsize=1024)
def _is_searchable(pattern: str, length: int) -> bool:
    """Return whether ``re`` searches a text of ``length`` characters in a bounded time: it backtracks, as in ``(a+)+$``."""
    steps = [0.0 if pattern.startswith("^") else math.log2(max(length, 1))]
    choices, last, last_choices = [0], 0.0, 0
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            steps.append(0.0)
            choices.append(0)
        elif token["repeat"]:
            low, high = _read_limits(token["repeat"], length)
            inner = min(high * last, length * math.log2(last_choices + 2)) if last else 0.0
            is_choice = high > low
            steps[-1] += inner - last + math.log2(max(high - low, 0) + 1)
            choices[-1] += is_choice
            last, last_choices = inner + is_choice, last_choices + is_choice
        elif token["other"] == ")" and len(steps) > 1:
            last, last_choices = steps.pop(), choices.pop()
            steps[-1] += last
            choices[-1] += last_choices
        else:
            is_choice = token["other"] == "|"
            steps[-1] += is_choice
            choices[-1] += is_choice
            last, last_choices = 0.0, 0
    return sum(steps) <= _MAX_SEARCH_STEPS


def _read_limits(quantifier: str, length: int) -> tuple[int, int]:
    """Return how often a quantifier repeats at least and at most, in a text of ``length`` characters."""
    if match := _QUANTIFIER.match(quantifier):
        low = int(match[1][:6] or 0)
        high = int(match[3][:6]) if match[3] else length if match[2] else low
    else:
        low, high = {"*": (0, length), "+": (1, length), "?": (0, 1)}[quantifier[0]]
    return low, min(high, max(length, low))


def _compile(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > _MAX_PATTERN_LENGTH:
        return None
    for spelling, replacement in _DIALECT:
        pattern = spelling.sub(replacement, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about patterns with another meaning in a later Python
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


class _Unsupported(Exception):
    """The expression has a construct that has no example here, or its texts are too long."""


class _Generator:
    """Reads an expression once, and writes a text. ``repetitions`` is how often an unlimited part is repeated."""

    def __init__(self, pattern: str, repetitions: int) -> None:
        self._pattern = pattern
        self._position = 0
        self._repetitions = repetitions
        self._groups: list[str] = []

    def build(self) -> str:
        text = self._read_alternatives()
        if self._position < len(self._pattern):
            raise _Unsupported
        return text

    def _peek(self) -> str:
        return self._pattern[self._position : self._position + 1]

    def _take(self) -> str:
        self._position += 1
        return self._pattern[self._position - 1]

    def _read_alternatives(self) -> str:
        """Return the text of the first alternative that has one."""
        texts = [self._read_sequence()]
        while self._peek() == "|":
            self._take()
            texts.append(self._read_sequence())
        return next(filter(None, texts), "")

    def _read_sequence(self) -> str:
        texts: list[str] = []
        while self._peek() not in ("", "|", ")"):
            texts.append(self._repeat(self._read_atom()))
            if sum(map(len, texts)) > _MAX_TEXT_LENGTH:
                raise _Unsupported
        return "".join(texts)

    def _repeat(self, text: str) -> str:
        low, high = self._read_quantifier()
        count = max(low, min(high, self._repetitions))
        if count * len(text) > _MAX_TEXT_LENGTH:
            raise _Unsupported
        return text * count

    def _read_quantifier(self) -> tuple[int, int]:
        limits = {"*": (0, _MAX_TEXT_LENGTH), "+": (1, _MAX_TEXT_LENGTH), "?": (0, 1)}.get(self._peek())
        match = _QUANTIFIER.match(self._pattern, self._position)
        if limits:
            self._take()
        elif match and (match[1] or match[3]):
            low = int(match[1][:6] or 0)
            limits = low, int(match[3][:6]) if match[3] else _MAX_TEXT_LENGTH if match[2] else low
            self._position = match.end()
        else:
            return 1, 1
        if self._peek() in ("?", "+"):  # lazy or possessive
            self._take()
        return limits

    def _read_atom(self) -> str:
        character = self._take()
        if character == "(":
            return self._read_group()
        if character == "[":
            return self._read_class()
        if character == "\\":
            return self._read_escape()
        if character in "^$":
            return ""
        return "a" if character == "." else character

    def _read_group(self) -> str:
        is_look_around = self._pattern.startswith(("?=", "?!", "?<=", "?<!"), self._position)
        start = None if is_look_around else _GROUP_START.match(self._pattern, self._position)
        is_captured = self._peek() != "?" or bool(start and "<" in start[0])
        if self._peek() == "?" and not is_look_around and not start:
            raise _Unsupported
        if start:
            self._position += len(start[0])
        elif is_look_around:
            self._position += 3 if self._pattern.startswith("?<", self._position) else 2
        index = len(self._groups)
        if is_captured:
            self._groups.append("")
            if len(self._groups) > _MAX_GROUPS:
                raise _Unsupported
        text = self._read_alternatives()
        if self._take() != ")":
            raise _Unsupported
        if is_captured:
            self._groups[index] = text
        return "" if is_look_around else text

    def _read_escape(self) -> str:
        character = self._take()
        if character in "bBAZz":
            return ""
        if character.isdigit() and character != "0":
            return self._groups[int(character) - 1]
        return self._choose(self._read_escaped_set(character))

    def _read_escaped_set(self, character: str) -> str:
        """Return the characters that an escape stands for."""
        if character in "dws":
            return _CLASSES[character]
        if character in "DWS":
            return "".join(each for each in _PREFERRED if each not in _CLASSES[character.lower()])
        if character in "xu":
            length = 2 if character == "x" else 4
            digits = self._pattern[self._position : self._position + length]
            self._position += length
            return chr(int(digits, 16)) if re.fullmatch(r"[0-9a-fA-F]+", digits) else character
        if character in "pP":  # ECMA 262 with the flag u; Python has none
            raise _Unsupported
        return _ESCAPES.get(character, character)

    def _read_class(self) -> str:
        is_negated = self._peek() == "^"
        if is_negated:
            self._take()
        members: list[str] = []
        while self._peek() != "]" or not members:
            if not self._peek():
                raise _Unsupported
            members.append(self._read_member())
        self._take()
        characters = "".join(members)
        if is_negated:
            characters = "".join(each for each in _PREFERRED if each not in characters)
        return self._choose(characters)

    def _read_member(self) -> str:
        first = self._read_single()
        if (
            self._peek() != "-"
            or self._pattern[self._position + 1 : self._position + 2] in ("]", "")
            or len(first) != 1
        ):
            return first
        self._take()
        last = self._read_single()
        if len(last) != 1 or ord(last) < ord(first):
            raise _Unsupported
        return "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 500) + 1)))

    def _read_single(self) -> str:
        character = self._take()
        return self._read_escaped_set(self._take()) if character == "\\" else character

    @staticmethod
    def _choose(characters: str) -> str:
        """Return the plainest of ``characters``."""
        if not characters:
            raise _Unsupported
        return next((each for each in _PREFERRED if each in characters), characters[0])
