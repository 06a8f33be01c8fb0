"""What the SDK prints when an upload fails: the last error with all its lines, and the next step by its reason. Pure.

The SDK prints no status: of a refusal only the API's text is known (SDK entrypoint/build.py, entrypoint/deploy.py).
"""

from __future__ import annotations

import re
from http import HTTPStatus

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text, remove_colours
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.pricing import is_fee_notice

_MOST_LINES = 60
# A reason is at the start of a text. What follows may repeat the request, which has words of its own.
_REASON_LENGTH = 300
# loguru's lines: a time, the level, the place, the text. A question of the SDK before it has no line end.
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \| [A-Z]+ +\|")
_ERROR = re.compile(r"\|\s*ERROR\s*\|[^-]*-\s*(.*)")
# For example of aiohttp, for a 500 of the API, which is no JSON.
_EXCEPTION = re.compile(r"^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception): .*)")
_TRACEBACK = re.compile(r"^(?:Traceback \(most|╭)")

# What the SDK refuses without asking the API (SDK entrypoint/deploy.py, entrypoint/build.py).
_SDK_REFUSALS = (
    "Public chutes are no longer possible|Unable to create public chutes from non-public images|already exists!"
)
_GPUS = "|".join(map(re.escape, sorted(platform_rules.GPU_HOURLY_PRICES, key=len, reverse=True)))
_PLACEMENT = " ".join(platform_rules.TEE_ARGUMENTS).rstrip(",")
_STEPS = (
    ("^Image with name=.* already exists", "increase CHUTE_TAG, or delete the image first with --delete-image NAME:TAG"),
    (_SDK_REFUSALS, "correct it: the SDK itself refuses this before the upload, and --allow cannot overrule the SDK"),
    ("is not available to be used", "check the image with --list-images, and the platform with --doctor: the SDK found no built "
     "image of this account, or got no response"),
    (r"\b(?:per|a) day\b|\bdaily\b|\b24 ?h|too many requests|rate limit", error_responses.select_next_step(HTTPStatus.TOO_MANY_REQUESTS, "")),
    (r"\bbalance\b|\btop up\b|insufficient funds", "pay in{address}: {account} shows the balance. Then run the command again"),
    (r"\b400\b.*/logos/|logo is not", "use a PNG, JPEG, GIF or WebP file for --logo: the platform reads no other, such as SVG"),
    (r"\bban(?:ned|_reasons?|s)?\b|malicious|code review", "change what the reasons name in the module, then deploy it again: the "
     "platform judges its source"),
    (r"Cannot change node selector", f"delete the chute first with {NAMES.deploy} --delete NAME, or restore its node_selector"),
    (rf"node.?selector|\bGPUs?\b|(?<![\w$.-])(?:{_GPUS})s?(?![\w-])|{re.escape(platform_rules.TEE_REQUIRED_MESSAGE)}|TEE private",
     f"write these arguments in Chute(…), which every account may deploy: {_PLACEMENT}"),
    (r"\bimmutable\b", "deploy it under another CHUTE_NAME: nobody can change this chute"),
    (r"public chutes", "remove --public, deploy, then give others access with --share NAME USER"),
    (r"Invalid (?:token|signature|hotkey)|Authorization|credentials|\b401\b", "check the account with {account}, and this machine's clock"),
    (r"^(?:Client\w*Error|ServerDisconnectedError|ContentTypeError|ConnectionTimeoutError|TimeoutError|JSONDecodeError)\b"
     r"|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out|^$",
     "check what came of it with --list-chutes and --list-images, and the platform with --doctor, then run the command again"),
)  # fmt: skip
_OTHER_STEP = "correct what the platform reports, then run the command again"


class SdkErrors:
    """Collects the errors in the SDK's output, line by line."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._is_open = False

    def add_line(self, line: str) -> None:
        """Add one line. A line without a time of its own continues the error before it: loguru prints texts unchanged."""
        line = remove_colours(line)
        if match := _ERROR.search(line):
            self._last, self._is_open = [match[1]], True
        elif _RECORD.search(line) or _TRACEBACK.match(line):
            self._is_open = False
        elif self._is_open:
            if len(self._last) < _MOST_LINES:
                self._last.append(line)
        elif match := _EXCEPTION.search(line):
            self._last, self._is_open = [match[1]], True

    @property
    def last(self) -> str:
        """The last error or exception, with a line break between its lines; empty without one."""
        return "\n".join(filter(None, map(clean_text, self._last)))


def select_step(sdk_error: str, payment_address: str = "") -> str:
    """Return the next step after an upload that failed with ``sdk_error``. ``payment_address`` is the account's."""
    if is_fee_notice(sdk_error):  # after its acceptance: --deploy asks before
        return f"check the balance with {NAMES.account}, then run the command again: the platform did not take the acceptance"
    text = " ".join(sdk_error.split())[:_REASON_LENGTH]
    step = next((step for pattern, step in _STEPS if re.search(pattern, text, re.IGNORECASE)), _OTHER_STEP)
    address = f" with TAO to {payment_address}" if payment_address else ""
    return step.replace("{address}", address).replace("{account}", NAMES.account)
