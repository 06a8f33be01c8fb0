"""Real specifications → a mock service → the parity check of its routes: ``python benchmarks/round_trip.py PRISM [--count 200]``.

PRISM is the program of the npm package ``@stoplight/prism-cli@5.14.2`` (``npm install --prefix FOLDER …``, then
``FOLDER/node_modules/.bin/prism``). It responds as a document says, and refuses a request that its document does not allow. The
documents are spread evenly over those of ``specifications.py``. Each route is called with the example that discovery and
specification give, through the gateway and directly; printed is the share of routes that are proven so, without an edit.
Prism cannot have paths that differ in their query string or fragment only, nor responses of the media type ``*/*``: their
number is printed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from urllib3.util import SKIP_HEADER

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import specifications  # noqa: E402
from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords  # noqa: E402
from chutes_wrappers.core.errors import WrapperError  # noqa: E402
from chutes_wrappers.core.exposure import CATEGORIES  # noqa: E402
from chutes_wrappers.host.discovery.documents import parse_document  # noqa: E402
from chutes_wrappers.host.discovery.specification import read_operations  # noqa: E402
from chutes_wrappers.host.document_client.direct_client import DirectClient  # noqa: E402
from chutes_wrappers.host.document_client.direct_request import DirectRequest  # noqa: E402
from chutes_wrappers.host.document_client.service_document import ServiceDocument  # noqa: E402
from chutes_wrappers.host.parity.comparison import HttpResponse  # noqa: E402
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall  # noqa: E402
from chutes_wrappers.host.parity.http_exchange import send_request  # noqa: E402
from chutes_wrappers.host.parity.outcomes import Outcome  # noqa: E402
from chutes_wrappers.host.parity.parity_check import Exchange, ParityCheck  # noqa: E402
from chutes_wrappers.runtime.background import BACKGROUND  # noqa: E402
from chutes_wrappers.runtime.call_errors import CallFailed  # noqa: E402
from chutes_wrappers.runtime.gateway import Gateway  # noqa: E402

_LONGEST_START_S = 120.0
_MAX_BYTES = 1_000_000
_PORT = 18391
_GATEWAY = Gateway(timeout_s=30)
# The library would add them, and a mock chooses by Accept what it returns.
_NO_OWN_HEADERS = {"Accept": None, "User-Agent": SKIP_HEADER, "Accept-Encoding": SKIP_HEADER}


@contextmanager
def run_mock(prism: str, document: Path, port: int) -> Iterator[bool]:
    """Run Prism on a document; yield whether it listens."""
    argv = [prism, "mock", "--host", "127.0.0.1", "--port", str(port), str(document)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    try:
        yield _wait_until_listening(process, lines)
    finally:
        process.terminate()
        process.wait()


def _read_lines(output: Iterable[str], lines: Queue[str]) -> None:
    for line in output:
        lines.put(line)


def _wait_until_listening(process: subprocess.Popen[str], lines: Queue[str]) -> bool:
    deadline = time.monotonic() + _LONGEST_START_S
    while time.monotonic() < deadline:
        try:
            if "is listening" in lines.get(timeout=0.2):
                return True
        except Empty:
            if process.poll() is not None:
                return False
    return False


def check_document(document: Mapping[str, Any], port: int, limit: int) -> list[Outcome]:
    """Return the outcomes of at most ``limit`` routes of a document, spread evenly, whose mock listens on ``port``."""
    routes = read_operations(document, port=port, prefix="", expose=CATEGORIES).routes
    cords = plan_cords(routes[:: max(1, -(-len(routes) // limit))], port, expose=CATEGORIES).cords
    client = DirectClient(documents={port: ServiceDocument(document)})
    routes_by_name = {(cord.public_method, cord.public_path): cord for cord in cords}

    def call_platform(call: PublicCall, timeout_s: float) -> HttpResponse:
        return _call_gateway(routes_by_name[call.method, call.path], call)

    def call_service(request: DirectRequest, timeout_s: float) -> HttpResponse:
        url, headers = f"http://127.0.0.1:{request.port}{request.target}", {**_NO_OWN_HEADERS, **request.headers}
        return send_request(request.method, url, timeout_s=timeout_s, data=request.body, headers=headers)

    calls = ExampleCalls(
        cords=cords,
        examples={},
        folder=Path(),
        document_examples=client.build_examples(cords),
        links=client.find_links(cords),
    )
    exchange = Exchange(
        call_platform=call_platform,
        call_service=call_service,
        read_service=call_service,
        build_request=lambda cord, example: client.build_request(cord.route, cord.port, example),
        is_listening=lambda listening: True,
        restart_service=lambda reason: None,
    )
    return ParityCheck(calls=calls, exchange=exchange).run()


def _call_gateway(cord: PlannedCord, call: PublicCall) -> HttpResponse:
    """Make a call as an instance does, without the platform around it."""
    try:
        response = _GATEWAY.handle_call(cord.route, cord.port, {"json": dict(call.fields), "params": call.query})
    except CallFailed as error:
        return HttpResponse(
            status=error.status, content_type="application/json", body=json.dumps(error.detail).encode()
        )
    return HttpResponse(status=200, content_type=response.content_type, body=response.body)


def select_documents(tarball: Path, count: int) -> list[tuple[str, bytes]]:
    """Return ``count`` documents of at most 1 MB, spread evenly over their sorted names."""
    found = sorted((name, data) for name, data in specifications.iterate_documents(tarball) if len(data) <= _MAX_BYTES)
    return [found[index * len(found) // count] for index in range(min(count, len(found)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prism", help="the program of Prism")
    parser.add_argument("--count", type=int, default=200, help="documents [200]")
    parser.add_argument("--limit", type=int, default=30, help="routes of a document, at most [30]")
    parser.add_argument("--corpus", type=Path, help="the package's tarball, if it was fetched before")
    options = parser.parse_args()
    tally = Tally()
    unusable: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = select_documents(options.corpus or specifications.fetch(folder), options.count)
        for number, (document_name, data) in enumerate(documents, start=1):
            file, started, share = folder / "document.json", time.monotonic(), "nothing"
            file.write_bytes(data)
            # Another port each time: the old one may be in TIME_WAIT.
            port = _PORT + number
            with run_mock(options.prism, file, port) as is_listening:
                try:
                    if is_listening:
                        share = tally.add(check_document(parse_document(data), port, options.limit))
                except WrapperError as error:
                    unusable.append(f"{document_name}: {error.what}")
            if not is_listening:
                unusable.append(f"{document_name}: the mock did not start")
            print(
                f"{number}/{len(documents)} {document_name}: proven {share}; {time.monotonic() - started:.1f} s",
                flush=True,
            )
    asyncio.run(BACKGROUND.run(_GATEWAY.close()))
    tally.print()
    print(f"{len(unusable)} documents could not be used: {unusable}")


@dataclass
class Tally:
    """How many routes were proven or not, and why not."""

    kinds: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    impossible: int = 0

    def add(self, outcomes: Sequence[Outcome]) -> str:
        """Count the outcomes of a document, print those that fail, and return how many of them are proven."""
        for outcome in outcomes:
            self.kinds[outcome.verdict.kind] += 1
            if outcome.verdict.kind != "proven":
                self.messages[_describe(outcome)] += 1
                self.impossible += _is_impossible(outcome)
            if outcome.verdict.kind == "failing":
                print(f"  failing: {outcome.name}: {_describe(outcome)}")
        return f"{sum(outcome.verdict.kind == 'proven' for outcome in outcomes)} of {len(outcomes)}"

    def print(self) -> None:
        """Print the shares, and the most frequent reasons."""
        total = sum(self.kinds.values())
        shares = (f"{kind} {count:,} ({count / max(total, 1):.1%})" for kind, count in self.kinds.most_common())
        print(
            f"without an edit: {total:,} routes: {', '.join(shares)}; the mock cannot have {self.impossible:,} of them"
        )
        for message, count in self.messages.most_common(15):
            print(f"  {count:,}: {message}")


def _is_impossible(outcome: Outcome) -> bool:
    """Return whether the reason is the mock, which does not know the path or has no serializer for the declared response."""
    path = outcome.cord.route.target_path if outcome.cord is not None else ""
    service = outcome.service_response
    return "?" in path or "#" in path or (service is not None and b"Cannot find serializer" in service.body)


def _describe(outcome: Outcome) -> str:
    excerpt = outcome.service_response.excerpt if outcome.service_response is not None else outcome.verdict.evidence
    match = re.search(r'"type":\s*"[^"]*#([A-Z_]+)"', excerpt)
    return f"{outcome.verdict.message}{f' ({match[1]})' if match else ''}"


if __name__ == "__main__":
    main()
