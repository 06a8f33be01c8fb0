"""A service in the shape of OpenAI's API, without a model: its responses are computed from the requests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from aiohttp import web

SOUND = b"RIFF" + bytes(range(256)) * 4
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
SPECIFICATION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "echo in OpenAI's shape", "version": "1"},
    "paths": {
        "/v1/models": {"get": {"responses": {"200": {"description": "models", "content": _OBJECT}}}},
        "/v1/models/{model}": {
            "get": {
                "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "a model", "content": _OBJECT}},
            }
        },
        "/v1/chat/completions": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"messages": {"type": "array"}, "stream": {"type": "boolean"}},
                            }
                        }
                    }
                },
                "responses": {
                    "200": {"description": "an answer", "content": {**_OBJECT, "text/event-stream": {}}},
                },
            }
        },
        "/v1/embeddings": {
            "post": {
                "requestBody": {"content": _OBJECT},
                "responses": {"200": {"description": "numbers", "content": _OBJECT}},
            }
        },
        "/v1/audio/transcriptions": {
            "post": {
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "required": ["file", "model"],
                                "properties": {
                                    "file": {"type": "string", "format": "binary"},
                                    "model": {"type": "string"},
                                },
                            }
                        }
                    }
                },
                "responses": {"200": {"description": "text", "content": _OBJECT}},
            }
        },
        "/v1/audio/speech": {
            "post": {
                "requestBody": {"content": _OBJECT},
                "responses": {"200": {"description": "sound", "content": {"audio/wav": {}}}},
            }
        },
        "/v1/images/generations": {
            "post": {
                "requestBody": {"content": _OBJECT},
                "responses": {"200": {"description": "pictures", "content": _OBJECT}},
            }
        },
    },
}


def application() -> web.Application:
    """The service."""
    app = web.Application(client_max_size=1024**3)
    app.router.add_get("/openapi.json", _specification)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/v1/models/{model}", _model)
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/embeddings", _embeddings)
    app.router.add_post("/v1/audio/transcriptions", _transcriptions)
    app.router.add_post("/v1/audio/speech", _speech)
    app.router.add_post("/v1/images/generations", _images)
    return app


async def _specification(request: web.Request) -> web.Response:
    return web.json_response(SPECIFICATION)


async def _models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [_described("parrot")]})


async def _model(request: web.Request) -> web.Response:
    name = request.match_info["model"]
    if name != "parrot":
        return web.json_response({"error": {"message": f"no model {name}", "type": "not_found"}}, status=404)
    return web.json_response(_described(name))


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "nobody"}


async def _chat(request: web.Request) -> web.StreamResponse:
    request_body = await request.json()
    if not request_body.get("messages"):
        return web.json_response({"error": {"message": "messages is empty", "type": "invalid"}}, status=422)
    text = request_body["messages"][-1]["content"]
    head = {"id": "chat-1", "created": 1, "model": "parrot"}
    if not request_body.get("stream"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return web.json_response({**head, "object": "chat.completion", "choices": [choice]})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in text.split(" "):
        choice = {"index": 0, "finish_reason": None, "delta": {"content": word}}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def _embeddings(request: web.Request) -> web.Response:
    request_body = await request.json()
    inputs = request_body["input"] if isinstance(request_body["input"], list) else [request_body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": [0.1 * len(text), 1e-7]} for i, text in enumerate(inputs)]
    return web.json_response({"object": "list", "model": "parrot", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})  # fmt: skip


async def _transcriptions(request: web.Request) -> web.Response:
    form = await request.post()
    file = form["file"]
    if not isinstance(file, web.FileField):
        return web.json_response({"error": {"message": "file is no file"}}, status=422)
    digest = hashlib.sha256(file.file.read()).hexdigest()
    return web.json_response({"text": f"{file.filename} {digest} {form.get('model')!s}"})


async def _speech(request: web.Request) -> web.Response:
    await request.json()
    return web.Response(body=SOUND, content_type="audio/wav")


async def _images(request: web.Request) -> web.Response:
    await request.json()
    return web.json_response({"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]})
