"""An image registry of one image, for ``--create`` without a network."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

PORT = 5000


@contextlib.contextmanager
def serve_registry() -> Iterator[None]:
    """Serve the manifest and the configuration of ``vendor/ocr:1`` until the context ends; any other image is not found."""
    manifest = {"config": {"digest": "sha256:" + "c" * 64}, "layers": [{"size": 40}]}
    config = {"ExposedPorts": {"9000/tcp": {}}, "Cmd": ["serve"], "Env": ["PATH=/bin"]}
    content = {"manifests/1": manifest, "blobs": {"os": "linux", "architecture": "amd64", "config": config}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = next((body for part, body in content.items() if f"/ocr/{part}" in self.path), None)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield
        finally:
            server.shutdown()
