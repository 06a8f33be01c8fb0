"""The rules of the platform that the user overruled with ``--allow RULE``, for this process and its child processes."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.layout import ALLOW_VARIABLE

# Commands pass both to the SDK's processes and to the processes that load a module.
VARIABLE = ALLOW_VARIABLE
_RECORD_VARIABLE = "CHUTES_WRAPPERS_OVERRULED"  # the file with a line for each refusal that did not happen
_reporter: Callable[[str, str], None] | None = None


def check_rule(name: str) -> str:
    """Return ``name`` if it is a rule that can be overruled. Raises ConfigurationError, with the nearest name and the list."""
    if name in platform_rules.OVERRULABLE_RULES:
        return name
    if any(fact.name == name for fact in platform_rules.FACTS):
        text = platform_rules.find_fact(name).text.rstrip(".")
        raise ConfigurationError(f"{name!r} is a fact that cannot be overruled: {text}", next_step="remove the flag")
    matches = difflib.get_close_matches(name, platform_rules.OVERRULABLE_RULES, n=1)
    hint = f"did you mean {matches[0]}? " if matches else ""
    rules = ", ".join(sorted(platform_rules.OVERRULABLE_RULES))
    raise ConfigurationError(f"unknown rule {name!r}", next_step=f"{hint}The rules: {rules}")


def overrule(rules: Iterable[str]) -> None:
    """Overrule ``rules`` (names of ``platform_rules.FACTS``) in this process and in those that it starts from now on."""
    os.environ[VARIABLE] = ",".join(sorted({*_read_rules(), *rules}))


def build_variables() -> dict[str, str]:
    """Return the variable with which an image's instances overrule the same rules; empty without any."""
    return {VARIABLE: ",".join(sorted(rules))} if (rules := _read_rules()) else {}


def is_overruled(rule: str, reason: str = "") -> bool:
    """Return whether the user overruled ``rule``: nothing here may reject anything because of it.

    Call it only for a rule that is violated, with the ``reason`` that the refusal would have: a yes is recorded.
    """
    if rule not in _read_rules():
        return False
    if (path := os.environ.get(_RECORD_VARIABLE)) and (rule, reason) not in _read_record():
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([rule, reason]) + "\n")
        if reason and _reporter is not None:
            _reporter(rule, reason)
    return True


def refuse(rule: str, failure: WrapperError) -> None:
    """Raise ``failure``, which then names the violated ``rule``, unless the user overruled the rule."""
    if is_overruled(rule, f"{failure.where}: {failure.what}" if failure.where else failure.what):
        return
    failure.evidence = "\n".join(filter(None, (failure.evidence, describe_rule(rule))))
    raise failure


def describe_rule(rule: str) -> str:
    """Return the line of a refusal that names its rule, since when it is known, and how sure it is."""
    fact = platform_rules.find_fact(rule)
    advice = f"--allow {rule} lets the platform decide" if fact.refusal else "it cannot be overruled"
    return f"rule {rule}, as of {fact.date}, {fact.sureness}; {advice}"


def list_overruled() -> list[str]:
    """Return the rules that would have refused something since ``record_overruled`` began, sorted."""
    return sorted({rule for rule, _ in _read_record()})


@contextlib.contextmanager
def record_overruled(rules: Iterable[str], report: Callable[[str, str], None]) -> Iterator[None]:
    """Overrule ``rules`` while the block runs, also in child processes; ``list_overruled`` has those that mattered.

    ``report`` is called with each rule and reason, once: those of child processes at the end of the block.
    """
    global _reporter
    reported: set[tuple[str, str]] = set()

    def report_once(rule: str, reason: str) -> None:
        reported.add((rule, reason))
        report(rule, reason)

    with contextlib.ExitStack() as stack:
        for name in (VARIABLE, _RECORD_VARIABLE):
            stack.callback(_set_variable, name, os.environ.get(name))
        os.environ.pop(_RECORD_VARIABLE, None)  # of a process whose block has ended
        overrule(rules)
        if _read_rules():
            record = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chutes-wrappers-"))) / "overruled"
            record.touch()
            os.environ[_RECORD_VARIABLE] = str(record)
        _reporter = report_once
        try:
            yield
        finally:
            _reporter = None
            for rule, reason in _read_record():
                if reason and (rule, reason) not in reported:
                    report(rule, reason)


def _read_record() -> list[tuple[str, str]]:
    path = os.environ.get(_RECORD_VARIABLE)
    lines = Path(path).read_text(encoding="utf-8").splitlines() if path else []
    return [(rule, reason) for rule, reason in map(json.loads, lines)]


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _read_rules() -> set[str]:
    return set(filter(None, os.environ.get(VARIABLE, "").split(",")))
