"""The page's secret is in the page's address, and comes with each of the page's own requests.

An ``Origin`` header proves nothing, since any local program can send one. The secret is in the address's fragment, which
browsers send to nobody; ``static/page.js`` reads it there.
"""

from __future__ import annotations

import secrets

from fastapi import HTTPException
from starlette.requests import Request

from chutes_wrappers.core.program import NAMES

CALL_PREFIX = "/emulator/call"
SECRET_HEADER = "X-Emulator-Page"
_REFUSAL = (
    "Only the emulator's page has access here. Open its whole address, with the '#…': --emulate prints it, and the file of "
    f"{NAMES.emulator} --config has it as 'page'."
)


def build_page_url(url: str, secret: str) -> str:
    """Where the page of the emulator at ``url`` is opened. It holds the secret."""
    return f"{url}/#{secret}"


class PageAccess:
    """FastAPI dependency: 403 for a request that does not carry ``secret``, before its body is read."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: Request) -> None:
        """Check one request."""
        secret = request.headers.get(SECRET_HEADER, "")
        if not secrets.compare_digest(secret.encode(), self._secret.encode()):
            raise HTTPException(403, _REFUSAL, {"Connection": "close"})
