"""The check that the texts of a request can be stored: a lone surrogate has no bytes in UTF-8."""

from __future__ import annotations

import json
import re

from fastapi import HTTPException, Request

# An escape in JSON, or the bytes that Python's JSON accepts for it. A pair of escapes is a valid character.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_PROBLEM = {
    "type": "string_unicode",
    "loc": ["body"],
    "msg": "Input should be a valid string, unable to parse raw data as a unicode string",
}


async def refuse_lone_surrogates(request: Request) -> None:
    """Raise 422 for a JSON body with a lone surrogate. Stored, it would make every response with it fail, also for other users."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        return
    body = await request.body()
    if _SURROGATE.search(body) and not _can_store(body):
        raise HTTPException(422, [_PROBLEM])


def _can_store(body: bytes) -> bool:
    """Return whether UTF-8 can express the texts of a JSON body; also for one that is not JSON, which has another error."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return True
