"""Cookie parameters as one ``Cookie`` header (RFC 6265, section 4.2.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from chutes_wrappers.core.routes import Parameter
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.styles import StyledPair

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OCTETS = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_VALUE = re.compile(rf'{_OCTETS}|"{_OCTETS}"')


def build_cookie_header(cookies: Iterable[tuple[Parameter, Iterable[StyledPair]]]) -> str:
    """Return the value of the header that sends the pairs of each parameter; empty without pairs. Raises CallFailed.

    A value with an octet that RFC 6265 does not allow is percent-encoded. OpenAPI 3.2 has no encoding for its style
    ``cookie``, so such a value is refused there.
    """
    return "; ".join(_encode(parameter, pair) for parameter, pairs in cookies for pair in pairs)


def _encode(parameter: Parameter, pair: StyledPair) -> str:
    if not _NAME.fullmatch(pair.name):
        raise CallFailed(
            f"`{parameter.name}`: {pair.name!r} is not a valid name of a cookie: use letters, digits and dashes",
            parameter=parameter.name,
        )
    delimiter = pair.delimiter if pair.delimiter == "," else quote(pair.delimiter)
    return f"{pair.name}={delimiter.join(_iterate_values(parameter, pair))}"


def _iterate_values(parameter: Parameter, pair: StyledPair) -> Iterator[str]:
    for text in pair.items:
        if _VALUE.fullmatch(text):
            yield text
        elif parameter.style == "cookie":
            raise CallFailed(
                f"`{parameter.name}` cannot be sent as a cookie: its style has no encoding, and RFC 6265 allows no spaces, "
                "quotes, commas, semicolons, backslashes or characters beyond ASCII",
                parameter=parameter.name,
            )
        else:
            yield quote(text, safe="")
