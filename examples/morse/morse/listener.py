"""Port 8080: a recording → text, in the manner of whisper.cpp's server: a multipart form in, and no OpenAPI document."""

from __future__ import annotations

from . import codec, wav
from .hearing import Heard, listen
from .multipart import form_fields
from .settings import HIGHEST_HZ, HIGHEST_WPM, LOWEST_HZ, LOWEST_WPM
from .web import HTTPError, Request, Response, Route, Service, json_response

_FORMATS = ("json", "text", "verbose_json")


def service() -> Service:
    """The listener."""
    return Service(
        "listener",
        [
            Route("POST", "/inference", _inference),
            Route("GET", "/load", _load),
            Route("GET", "/health", lambda request: json_response({"status": "ok"})),
        ],
    )


def _inference(request: Request) -> Response:
    fields = form_fields(request)
    if "file" not in fields:
        raise HTTPError(400, "the form has no field named file")
    style = fields.get("response_format", b"json").decode("latin-1")
    if style not in _FORMATS:
        raise HTTPError(400, f"response_format must be one of {', '.join(_FORMATS)}")
    try:
        heard = listen(*wav.read(fields["file"]))
    except wav.BadWav as error:
        raise HTTPError(400, f"file: {error}") from error
    return _told(heard, style)


def _told(heard: Heard, style: str) -> Response:
    text = codec.decode(heard.morse)
    if style == "text":
        return Response(f"{text}\n".encode(), "text/plain; charset=utf-8")
    if style == "json":
        return json_response({"text": text})
    return json_response({"text": text, "morse": heard.morse, "wpm": heard.wpm, "frequency": heard.frequency})


def _load(request: Request) -> Response:
    limits = {"wpm": [LOWEST_WPM, HIGHEST_WPM], "frequency": [LOWEST_HZ, HIGHEST_HZ]}
    return json_response({"status": "loaded", "model": "morse", **limits})
