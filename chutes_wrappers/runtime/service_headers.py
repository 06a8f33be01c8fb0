"""A service's header values as text for JSON and for our own headers. Pure."""

from __future__ import annotations

import aiohttp


def read_header(response: aiohttp.ClientResponse, name: str) -> str:
    """Return the header ``name``, decoded from UTF-8, else from latin-1; empty if it is missing."""
    value = response.headers.get(name, "")
    try:
        value.encode()
    except UnicodeEncodeError:  # aiohttp decodes bytes that are not UTF-8 to surrogates
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def encode_header_value(value: str) -> str:
    """Return ``value`` for a header of ours: its UTF-8 bytes as latin-1 characters, without what is not printable."""
    return "".join(character for character in value if character.isprintable()).encode().decode("latin-1")
