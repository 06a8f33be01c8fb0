"""What a service's headers say, as text that JSON and our own headers can carry. Pure."""

from __future__ import annotations

import aiohttp


def read_header(response: aiohttp.ClientResponse, name: str) -> str:
    """The header ``name`` as it is meant: UTF-8, else latin-1; empty when there is none."""
    value = response.headers.get(name, "")
    try:
        value.encode()
    except UnicodeEncodeError:  # what is no UTF-8 aiohttp keeps as surrogates
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def encode_header_value(value: str) -> str:
    """``value`` as a header of ours holds it: the latin-1 characters of its bytes in UTF-8, without what is not printable."""
    return "".join(character for character in value if character.isprintable()).encode().decode("latin-1")
