"""A service that ended because a setting is missing, such as a key: told apart from one that is broken. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.module_headers import HEADERS_VARIABLE, format_secret_command
from chutes_wrappers.core.platform_rules import SECRET_NAME

_LAST_LINES = 40
# The time of some patterns grows with the square of a line's length, and an image prints any line.
_LONGEST_LINE = 500
_NAME = r"(?P<name>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"
_QUOTES = r"[\"'`]"
_WANTED = (
    r"(?:(?:is|was|are|be)?\s*(?:not|n't|never)\s+(?:been\s+)?(?:set|found|defined|provided|specified|configured|given)|unset|"
    r"(?:is|was)?\s*(?:missing|undefined|empty|required)|must\s+(?:not\s+be\s+empty|be\s+\w+)|needs?\s+to\s+be\s+\w+|"
    r"cannot\s+be\s+(?:empty|null|None)|unbound\s+variable|parameter\s+(?:null\s+or\s+)?not\s+set|field\s+required)"
)
_DEMANDS = r"(?:missing|required?|requires|need|needs|must\s+(?:set|specify|provide)|please\s+(?:set|provide|specify|export|define)|by\s+setting|to\s+specify|not\s+find)"
_PATTERNS = (
    re.compile(rf"\bKeyError:\s*{_QUOTES}{_NAME}{_QUOTES}"),
    # NAME is not set, "NAME" must be provided, NAME: unbound variable
    re.compile(
        rf"(?<![\w$]){_NAME}\b{_QUOTES}?:?\s+(?i:(?:(?:environment\s+)?variable|env(?:ironment)?(?:\s+var)?|setting)\s+)?(?i:{_WANTED})"
    ),
    # missing environment variable NAME, you must specify NAME, please set the NAME variable
    re.compile(
        rf"(?i:\b{_DEMANDS}\b)[^A-Z.;]{{0,40}}?(?i:(?:the|an?|one\s+of|following|as|environment|env|variables?|vars?|settings?|option)[\s:]+){{0,6}}{_QUOTES}?{_NAME}\b"
    ),
    re.compile(
        rf"(?i:\b(?:environment\s+variable|env\s+var)s?)\b[\s:]*{_QUOTES}?{_NAME}\b{_QUOTES}?[^A-Z]{{0,60}}?(?i:{_WANTED})"
    ),
    # set the NAME environment variable
    re.compile(rf"(?i:\bset\s+(?:the\s+)?){_QUOTES}?{_NAME}{_QUOTES}?\s+(?i:environment|env|variable)"),
)
_LISTED = re.compile(rf"^\W*{_NAME}\W*$")
_LIST_HEAD = re.compile(r"(?i)\b(?:environment|env) var(?:iable)?s?:\s*$")
_FIELD = re.compile(r"^\s*(?P<name>[A-Za-z][A-Za-z0-9_]*)\s*$")
# Pydantic 2 and 1, on the line after the field's name.
_FIELD_REQUIRED = re.compile(r"(?i)^\s+field required \W*type=(?:value_error\.)?missing")
_UNNAMED_KEY = re.compile(
    r"(?i)\b(?:missing|no|without|invalid or missing|provide|requires?|need)\s+(?:an?\s+|the\s+|your\s+|valid\s+){0,4}(?:api|master|access|license|secret)[ _-]?keys?\b"
    r"|\b(?:api|master|access|license|secret)[ _-]?key\s+(?:is\s+|was\s+|must\s+be\s+)?(?:not\s+)?(?:set|missing|required|provided|found|configured)\b"
)
_GATED = re.compile(r"(?i)gated repo|access to model .* is restricted|cannot access gated")
_HUB_TOKEN = "HF_TOKEN"
_HARMLESS = re.compile(r"(?i)\b(?:warn(?:ing)?|info|debug|notice|deprecat\w+)\b")


@dataclass(frozen=True, kw_only=True)
class MissingSetting:
    """A setting that a service lacks: the name of its variable, or empty, and the line that shows it."""

    name: str
    line: str

    @property
    def is_secret(self) -> bool:
        """Whether its value is a secret, by its name."""
        return not self.name or bool(SECRET_NAME.search(self.name))

    @property
    def reason(self) -> str:
        """Why the service ended."""
        return f"it needs {self.name or 'a key'}, which is not set"

    def suggest_step(self, chute_name: str) -> str:
        """Return what to write into the module, and how its value gets to an instance."""
        name = self.name or "the variable that its documentation names"
        if not self.is_secret:
            return f'set it in the module: CHUTE_ENV = {{"{name}": "…"}}'
        variable = self.name or "NAME"
        return (
            f"export {name}. If clients send it, add {HEADERS_VARIABLE} = "
            f'{{"Authorization": "Bearer ${{{variable}}}"}} to the module; else CHUTE_ENV = '
            f'{{"{variable}": os.environ.get("{variable}", "")}}. On the platform it is a secret: '
            f"{format_secret_command(chute_name, variable)}"
        )


def find_missing_setting(lines: Iterable[str]) -> MissingSetting | None:
    """Return the setting that the last lines of a service's output name as missing, or None."""
    last_lines = [line[:_LONGEST_LINE] for line in lines][-_LAST_LINES:]
    for index in range(len(last_lines) - 1, -1, -1):
        line = last_lines[index]
        name = _find_name(line) or _find_below(last_lines[index - 1] if index else "", line)
        if name and not _HARMLESS.search(line):
            return MissingSetting(name=name, line=line.strip())
    for line in reversed(last_lines):
        if _GATED.search(line):
            return MissingSetting(name=_HUB_TOKEN, line=line.strip())
        if _UNNAMED_KEY.search(line) and not _HARMLESS.search(line):
            return MissingSetting(name="", line=line.strip())
    return None


def make_missing_error(missing: MissingSetting, how: str, tail: str) -> ServiceFailed:
    """Return the error of a service that ended because of ``missing``; ``how`` says how, ``tail`` is its output."""
    what = f"{how} because {missing.reason}: the image is not broken"
    return ServiceFailed(what, evidence=tail, next_step=missing.suggest_step(""))


def _find_name(line: str) -> str:
    return next((match["name"] for pattern in _PATTERNS if (match := pattern.search(line))), "")


def _find_below(previous: str, line: str) -> str:
    """Return the first variable of a list, or that of a field of a settings class: by default its name in upper case."""
    if _LIST_HEAD.search(previous) and (match := _LISTED.match(line)):
        return match["name"]
    match = _FIELD.match(previous) if _FIELD_REQUIRED.search(line) else None
    return match["name"].upper() if match else ""
