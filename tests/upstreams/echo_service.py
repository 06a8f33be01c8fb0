"""A tiny JSON service for fixtures: standard library only, any Python from 3.9.

PORT is where it listens. WRITE_TO names a file that it must be able to write when it starts; REQUIRE names a variable that
must be set. Either failing ends it with exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SPECIFICATION = {
    "openapi": "3.0.3",
    "info": {"title": "echo", "version": "1"},
    "paths": {
        "/health": {"get": {"responses": {"200": {"description": "ready"}}}},
        "/who": {"get": {"responses": {"200": {"description": "where and as whom it runs"}}}},
        "/echo": {
            "get": {
                "parameters": [{"name": "x", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "the query"}},
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "the query and the body"}},
            },
            "put": {
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "the query and the body"}},
            },
        },
    },
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        answers: dict[str, Any] = {
            "/health": {"status": "ok"},
            "/openapi.json": SPECIFICATION,
            "/who": {"uid": os.getuid(), "cwd": os.getcwd(), "home": os.environ.get("HOME"), "env": dict(os.environ)},
            "/echo": {"method": "GET", "query": dict(parse_qsl(target.query))},
        }
        self.send_json(answers.get(target.path))

    def do_POST(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = target.path == "/echo"
        query = dict(parse_qsl(target.query))
        self.send_json({"method": self.command, "query": query, "body": json.loads(body or b"null")} if known else None)

    do_PUT = do_POST

    def send_json(self, value: object) -> None:
        content = json.dumps({"detail": "not found"} if value is None else value).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    if "REQUIRE" in os.environ and os.environ["REQUIRE"] not in os.environ:
        sys.exit(f"the variable {os.environ['REQUIRE']} is not set")
    if "WRITE_TO" in os.environ:
        path = os.path.expanduser(os.environ["WRITE_TO"])
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "a") as file:
            file.write("started\n")
    server = ThreadingHTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "9090"))), Handler)
    sys.stdout.write(f"echo service listens on port {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
