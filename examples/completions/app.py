"""A service with the API of OpenAI, without a model: it continues a text with the words that follow in its corpus.

Chats and embeddings, complete and streamed. FastAPI publishes /openapi.json, as servers like vLLM do.
"""

import hashlib
import json
import math
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

MODEL = "markov-1"
DIMENSIONS = 64
TEXT = """
a container holds a service and all that the service needs . a platform starts the container when a call comes in .
a call comes in as one object and the service answers with text , sound or a picture . a service that answers at home
answers on the platform when all that it needs is in the container . what the container lacks the platform does not
bring . a test at home costs nothing and a test on the platform costs money . so a careful person starts the container at
home and looks at each answer before a call comes in from somebody who waits for the answer .
"""
CORPUS = TEXT.split()

app = FastAPI(title="Completions without a model", version="1")
followers: dict[str, list[str]] = defaultdict(list)
for word, follower in zip(CORPUS, CORPUS[1:] + CORPUS[:1], strict=True):
    followers[word].append(follower)


class Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    model: str = MODEL
    messages: list[Message] = Field(min_length=1, examples=[[{"role": "user", "content": "a container"}]])
    max_tokens: int = Field(24, ge=1, le=512)
    seed: int = 0
    stream: bool = False


class EmbeddingRequest(BaseModel):
    model: str = MODEL
    input: str | list[str] = Field(examples=["a container"])


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/v1/models")
def models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "example"}]}


@app.post("/v1/chat/completions", responses={200: {"content": {"application/json": {}, "text/event-stream": {}}}})
def chat(request: ChatRequest) -> Any:
    check_model(request.model)
    words = generate_words(request.messages[-1].content, request.max_tokens, request.seed)
    now = int(time.time())
    if request.stream:
        return StreamingResponse(format_events(words, now), media_type="text/event-stream")
    message = {"role": "assistant", "content": " ".join(words)}
    return make_completion("chat.completion", now, {"message": message, "finish_reason": "stop"})


@app.post("/v1/embeddings")
def embeddings(request: EmbeddingRequest) -> dict[str, Any]:
    check_model(request.model)
    texts = [request.input] if isinstance(request.input, str) else request.input
    data = [{"object": "embedding", "index": at, "embedding": embed(text)} for at, text in enumerate(texts)]
    token_count = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": token_count, "total_tokens": token_count}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


def check_model(model: str) -> None:
    if model != MODEL:
        raise HTTPException(404, f"unknown model {model!r}: expected {MODEL!r}")


def generate_words(prompt: str, max_words: int, seed: int) -> Iterator[str]:
    """Yield at most ``max_words`` words that follow the prompt's last one; equal for equal seeds."""
    random_generator = random.Random(f"{seed}/{prompt}")
    last = next((word for word in reversed(prompt.lower().split()) if word in followers), CORPUS[0])
    for _ in range(max_words):
        last = random_generator.choice(followers[last])
        yield last


def format_events(words: Iterator[str], now: int) -> Iterator[str]:
    """Yield one completion in chunks, all with the same id and time, as OpenAI does."""
    for word in words:
        yield format_event(
            make_completion("chat.completion.chunk", now, {"delta": {"content": f"{word} "}, "finish_reason": None})
        )
    yield format_event(make_completion("chat.completion.chunk", now, {"delta": {}, "finish_reason": "stop"}))
    yield "data: [DONE]\n\n"


def format_event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


def make_completion(kind: str, now: int, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{kind}-{now}", "object": kind, "created": now, "model": MODEL, "choices": [{"index": 0, **choice}]}


def embed(text: str) -> list[float]:
    """Return a vector of length 1; texts with the same trigrams have similar vectors."""
    vector = [0.0] * DIMENSIONS
    for at in range(len(text) - 2):
        digest = hashlib.sha256(text[at : at + 3].lower().encode()).digest()
        vector[digest[0] % DIMENSIONS] += 1
    length = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / length for number in vector]


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8090")))
