"""Access to the page's routes with a secret that is in the page's address.

An ``Origin`` header proves nothing, because any local program can send one. The secret is in the fragment of the address,
which browsers never send. ``static/page.js`` reads it, and sends it with each request.
"""

from __future__ import annotations

import secrets

from fastapi import HTTPException
from starlette.requests import Request

from chutes_wrappers.core.program import NAMES

CALL_PREFIX = "/emulator/call"
SECRET_HEADER = "X-Emulator-Page"
_REFUSAL = (
    "Only the emulator's page has access. Open the whole address of the page, with its '#…'. --emulate prints it, and the "
    f"file of {NAMES.emulator} --config contains it as 'page'."
)


def build_page_url(url: str, secret: str) -> str:
    """Return the address of the page of the emulator at ``url``. It contains the secret."""
    return f"{url}/#{secret}"


class PageAccess:
    """FastAPI dependency: raises 403 for a request without ``secret``, before its body is read."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: Request) -> None:
        """Check one request."""
        secret = request.headers.get(SECRET_HEADER, "")
        if not secrets.compare_digest(secret.encode(), self._secret.encode()):
            raise HTTPException(403, _REFUSAL, {"Connection": "close"})
