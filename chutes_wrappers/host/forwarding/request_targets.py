"""The forms of a request target (RFC 9112, section 3.2), as one: path and query, or ``*``. Pure."""

from __future__ import annotations

import re

from chutes_wrappers.host.forwarding.transport import ForwardingError

_BAD_REQUEST = 400
_LONGEST_TARGET = 200
_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#@]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?", re.IGNORECASE)


def normalise_target(method: str, target: str) -> tuple[str, str | None]:
    """Return the path and query of ``target``, and its authority, which is that of the server; None without one.

    An ``OPTIONS`` of a whole server has the target ``*``. Raises ForwardingError (400) for any other form.
    """
    is_path = target.startswith("/") and "#" not in target
    if is_path or (target == "*" and method == "OPTIONS"):
        return target, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise ForwardingError(
            _BAD_REQUEST, f"the request target {target[:_LONGEST_TARGET]!r} is neither a path nor a URL of this server"
        )
    path, query = match["path"] or "", match["query"] or ""
    empty = "*" if method == "OPTIONS" and not query else "/"
    return (path or empty) + query, match["authority"]
