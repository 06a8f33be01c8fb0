"""The check of a response's head before it is sent to the client. Pure.

A chute chooses every character of it. h11 checks headers, but neither the reason nor whether a text has bytes in HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import h11

from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.runtime.tunnel_frames import Head, Header

_STATUSES = range(200, 600)
_REASON = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LONGEST_VALUE = 100


def build_response(head: Head) -> h11.Response:
    """Return ``head`` for h11. Raises ForwardingError (502) with the part that is not valid HTTP/1.1."""
    if head.status not in _STATUSES:
        raise _build_error(f"the status {str(head.status)[:_LONGEST_VALUE]} is not in 200-599")
    if not _REASON.fullmatch(head.reason):
        raise _build_error(f"the reason {head.reason[:_LONGEST_VALUE]!a} is not one line of latin-1")
    for name, value in head.headers:
        # The body arrives without its framing, and is framed for the client again.
        if name.lower() == "transfer-encoding":
            raise _build_error("it has a Transfer-Encoding")
        if not _is_latin_1(name + value):
            raise _build_error(f"the header {name[:_LONGEST_VALUE]!a} is not latin-1")
    try:
        return h11.Response(
            status_code=head.status, headers=encode_headers(head.headers), reason=head.reason.encode("latin-1")
        )
    except h11.LocalProtocolError as error:
        raise _build_error(str(error)[: 2 * _LONGEST_VALUE]) from error


def encode_headers(headers: Sequence[Header]) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` as bytes. Raises UnicodeEncodeError for text that is not latin-1."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _is_latin_1(text: str) -> bool:
    return all(ord(character) <= 0xFF for character in text)


def _build_error(reason: str) -> ForwardingError:
    return ForwardingError(502, f"the chute's response is not valid HTTP/1.1: {reason}")
