"""Parser of multipart/form-data, based on the standard library's mail parser."""

from __future__ import annotations

from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP

from .web import HTTPError, Request


def parse_form(request: Request) -> Mapping[str, bytes]:
    """Parse the form's fields and files; of a repeated name the last. Raises HTTPError 400 if it is not a valid form."""
    content_type = request.headers.get("Content-Type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise HTTPError(400, "send a multipart/form-data body")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    fields = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content
    if not fields:
        raise HTTPError(400, "the multipart/form-data body has no fields, or not the boundary that its header names")
    return fields
