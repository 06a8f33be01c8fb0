"""The command lines in documents and help pages, as the words that a shell would pass."""

from __future__ import annotations

import re
import shlex

from chutes_wrappers.cli.verbs.groups import VERBS

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
# The program's names in a checkout and in an installed package, where other names start with the same word.
_PROGRAM = re.compile(r"\./deploy\.sh|\bchutes-wrappers(?= )")
_ENDS = re.compile(r"^[<>|)]|^&&$|^;$|^2>")


def find_documented_lines(text: str) -> list[list[str]]:
    """Find every command line in shell blocks and inline code of a Markdown document, without the program's name."""
    blocks = [block.replace("\\\n", " ") for language, block in _BLOCK.findall(text) if language in ("", "bash")]
    inline = _CODE.findall(_BLOCK.sub("", text))
    return _unique(
        [*find_shown_lines("\n".join(blocks)), *(words for code in inline for words in _of_inline_code(code))]
    )


def find_shown_lines(text: str) -> list[list[str]]:
    """Find every command line with the program's name in a text such as a help page or a comment."""
    lines = []
    for line in text.splitlines():
        for piece in _PROGRAM.split(line)[1:]:
            lines += [words for words in [_words(piece)] if words is not None]
    return _unique(lines)


def _of_inline_code(code: str) -> list[list[str]]:
    """``./deploy.sh --build M``, or ``--build M [--local]``: with and without the part in brackets."""
    if _PROGRAM.search(code):
        return find_shown_lines(code)
    if not code.startswith("-"):
        return []
    variants = {code.replace("[", "").replace("]", ""), re.sub(r"\s*\[[^]]*\]", "", code)}
    return [words for variant in sorted(variants) for words in [_words(variant)] if words]


def _words(piece: str) -> list[str] | None:
    """Parse the words up to the end of the command; None for other text, such as the name in a sentence."""
    words = shlex.split(piece.partition("`")[0].replace("[FLAGS]", ""), comments=True)
    ended = next((index for index, word in enumerate(words) if _ENDS.match(word)), len(words))
    words = [word.rstrip(")") if word.endswith(")") and "(" not in word else word for word in words[:ended]]
    is_line = not piece.strip() or (words and (words[0].startswith("-") or words[0] in (*VERBS, "help")))
    return words if is_line else None


def _unique(lines: list[list[str]]) -> list[list[str]]:
    return [list(words) for words in dict.fromkeys(map(tuple, lines))]
