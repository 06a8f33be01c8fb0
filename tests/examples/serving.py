"""A sample service in a separate process."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence

import requests
from urllib3.util.retry import Retry

from tests.scenario import find_free_port


@contextlib.contextmanager
def serve(argv: Sequence[str]) -> Iterator[str]:
    """Run the service until the block ends; yields its URL when it is healthy."""
    port = find_free_port()
    process = subprocess.Popen(argv, env={**os.environ, "PORT": str(port)}, stderr=subprocess.DEVNULL)
    try:
        with requests.Session() as session:
            retries = Retry(total=20, connect=20, backoff_factor=0.1, backoff_max=0.5)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            assert session.get(f"http://127.0.0.1:{port}/health", timeout=60).ok
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
