"""What in a service's command lines may fail under the platform's guard library (PLATFORM.md, section 1). Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chutes_wrappers.core import platform_rules

# One command for all processes. Each command line ends with NUL, as each argument does.
READ_COMMAND_LINES = ("/bin/sh", "-c", 'for file in /proc/[0-9]*/cmdline; do cat "$file"; echo; done')
_ADVICE = "--emulate runs it once with that library; one worker, or workers by fork, are safe"
# They start even a single worker by spawn, unless they get this option.
_ALWAYS_SPAWN = {"hypercorn": ("-w0", "--workers=0"), "granian": (), "sanic": ("--single-process",)}
_SPAWN_MORE_THAN_ONE = ("uvicorn", "fastapi")
_WORKER_VARIABLES = ("UVICORN_WORKERS", "WEB_CONCURRENCY")
_SPAWNED = re.compile(r"from multiprocessing\.(spawn|forkserver) import")
_FAULTHANDLER_OPTION = re.compile(r"-X ?(faulthandler|dev)\b")
_ISOLATED = re.compile(r"-[a-zA-Z]+")
_ISOLATION_LETTERS = frozenset("IES")


def parse_command_lines(text: str) -> list[tuple[str, ...]]:
    """Return the command lines, as arguments, in the output of READ_COMMAND_LINES."""
    return [tuple(line.lstrip("\n").split("\0")) for line in text.split("\0\n") if line.strip()]


def describe_guard_concerns(
    command_lines: Iterable[Sequence[str]], environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return one sentence for each way in which these programs may fail under the guard library, without repetition.

    A command line may be a shell's (``sh -c "…"``). ``environment`` are the variables of the image and of the module.
    """
    sentences = (each for arguments in command_lines for each in _describe_program(arguments, environment or {}))
    return tuple(dict.fromkeys(sentences))


def _describe_program(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    text = " ".join(arguments)
    # Of a shell's line too, and whatever the folder of the program is.
    words = [posixpath.basename(word) for word in text.replace(";", " ").split()]
    if cause := _find_spawn(text, words, environment):
        yield f"{cause} starts workers by spawn, which may fail under the platform's guard library: {_ADVICE}"
    if cause := _find_faulthandler(text, words):
        yield f"Python ends immediately under the platform's guard library with {cause}: remove it from the command"
    if option := _find_isolation(words):
        yield (
            f"Python runs with {option}, so it does not read PYTHONPATH, which the launcher needs: "
            "processes that it starts may fail under the platform's guard library. Remove the option"
        )


def _find_spawn(text: str, words: Sequence[str], environment: Mapping[str, str]) -> str:
    if match := _SPAWNED.search(text):
        return f"multiprocessing ({match[1]})"
    if "gunicorn" in words:  # it forks, whatever its workers' class is
        return ""
    options = re.sub(r"(?<![-a-z])(--?[a-z-]+)[ =]([0-9]+)", r"\1=\2", text).replace("-w=", "-w").split()
    for server, exceptions in _ALWAYS_SPAWN.items():
        if server in words and not set(exceptions) & set(options):
            return server
    server = next((name for name in _SPAWN_MORE_THAN_ONE if name in words), "")
    if not server:
        return ""
    if "--reload" in options:
        return f"{server} --reload"
    if count := next((option for option in options if option.startswith("--workers=")), ""):
        return f"{server} --workers" if _is_more_than_one(count.partition("=")[2]) else ""
    variable = next((name for name in _WORKER_VARIABLES if _is_more_than_one(environment.get(name, ""))), "")
    return f"{server} with {variable}" if variable else ""


def _is_more_than_one(text: str) -> bool:
    # A variable's value may not be a number: then a start script computes it.
    return bool(text) and not re.fullmatch(r"[01]", text.strip())


def _find_faulthandler(text: str, words: Sequence[str]) -> str:
    if _find_python(words) is None:
        return ""
    if match := _FAULTHANDLER_OPTION.search(text):
        return match[0]
    return next((name for name in platform_rules.FAULTHANDLER_VARIABLES if re.search(rf"\b{name}=[^\s'\"]", text)), "")


def _find_isolation(words: Sequence[str]) -> str:
    index = _find_python(words)
    for word in words[index + 1 :] if index is not None else ():
        if not word.startswith("-") or word in ("-c", "-m"):
            break
        if _ISOLATED.fullmatch(word) and not _ISOLATION_LETTERS.isdisjoint(word):
            return word
    return ""


def _find_python(words: Sequence[str]) -> int | None:
    return next((index for index, word in enumerate(words) if re.fullmatch(r"python[0-9.]*", word)), None)
