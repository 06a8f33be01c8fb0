"""Full-text search over HTTP, on SQLite's index: standard library only, and no specification.

| route | request | response |
|---|---|---|
| POST /documents | {"id", "text"} | {"id", "words"}; the same id again replaces the text |
| GET /search | ?q=words&limit=10, 1000 at most | {"hits": [{"id", "text", "rank"}]}, the best first |
| DELETE /documents/ID | | 204, also if it did not exist |
| GET /export | | one JSON object per line |
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

MAX_BODY_BYTES = 1024 * 1024
MAX_HITS = 1000
index = sqlite3.connect(":memory:", check_same_thread=False)
index.execute("CREATE VIRTUAL TABLE documents USING fts5(id UNINDEXED, text)")
lock = threading.Lock()


def put(document: object) -> dict[str, object]:
    """Store a document; raises ValueError if it is not valid."""
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), str) and document[key] for key in ("id", "text")
    ):
        raise ValueError("a document is an object with the texts id and text")
    with lock, index:
        index.execute("DELETE FROM documents WHERE id = ?", (document["id"],))
        index.execute("INSERT INTO documents VALUES (?, ?)", (document["id"], document["text"]))
    return {"id": document["id"], "words": len(document["text"].split())}


def remove(name: str) -> None:
    with lock, index:
        index.execute("DELETE FROM documents WHERE id = ?", (name,))


def search(words: str, limit: int) -> dict[str, object]:
    """Return the documents that contain all words."""
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
    if not quoted:
        raise ValueError("q has no words")
    query = "SELECT id, text, bm25(documents) FROM documents WHERE documents MATCH ? ORDER BY 3, 1 LIMIT ?"
    with lock:
        rows = index.execute(query, (quoted, min(max(limit, 1), MAX_HITS))).fetchall()
    return {"hits": [{"id": name, "text": text, "rank": round(rank, 6)} for name, text, rank in rows]}


def export() -> str:
    with lock:
        rows = index.execute("SELECT id, text FROM documents ORDER BY id").fetchall()
    return "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in rows)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if url.path == "/health":
            self.send_json(200, {"status": "ok"})
        elif url.path == "/search":
            self.send_result(lambda: search(query.get("q", ""), int(query.get("limit", "10"))))
        elif url.path == "/export":
            self.send(200, "application/x-ndjson", export().encode())
        else:
            self.send_json(404, {"error": f"not found: {url.path}"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self.send_json(413, {"error": f"a document has at most {MAX_BODY_BYTES} bytes"})
            return
        body = self.rfile.read(length)
        if urlsplit(self.path).path == "/documents":
            self.send_result(lambda: put(json.loads(body)))
        else:
            self.send_json(404, {"error": f"not found: POST {self.path}"})

    def do_DELETE(self) -> None:
        folder, _, name = urlsplit(self.path).path.rpartition("/")
        if folder != "/documents" or not name:
            self.send_json(404, {"error": f"not found: {self.path}"})
            return
        remove(unquote(name))
        self.send_response(204)
        self.end_headers()

    def send_result(self, work: Callable[[], dict[str, object]]) -> None:
        try:
            self.send_json(200, work())
        except (ValueError, sqlite3.Error) as error:  # the index rejects some words, such as those with a NUL
            self.send_json(400, {"error": str(error)})

    def send_json(self, status: int, value: dict[str, object]) -> None:
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8070")))
    with ThreadingHTTPServer(address, Handler) as server:
        server.serve_forever()
