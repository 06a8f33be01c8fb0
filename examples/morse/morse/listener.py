"""Port 8080: a recording → text, like whisper.cpp's server: it accepts a multipart form and has no OpenAPI document."""

from __future__ import annotations

from . import codec, wav
from .hearing import Decoded, decode_samples
from .multipart import parse_form
from .settings import HIGHEST_HZ, HIGHEST_WPM, LOWEST_HZ, LOWEST_WPM
from .web import HTTPError, Request, Response, Route, Service, make_json_response

_FORMATS = ("json", "text", "verbose_json")


def build_service() -> Service:
    """Build the listener."""
    return Service(
        "listener",
        [
            Route("POST", "/inference", _handle_inference),
            Route("GET", "/load", _handle_load),
            Route("GET", "/health", lambda request: make_json_response({"status": "ok"})),
        ],
    )


def _handle_inference(request: Request) -> Response:
    fields = parse_form(request)
    if "file" not in fields:
        raise HTTPError(400, "the form has no field named file")
    style = fields.get("response_format", b"json").decode("latin-1")
    if style not in _FORMATS:
        raise HTTPError(400, f"response_format must be one of {', '.join(_FORMATS)}")
    try:
        decoded = decode_samples(*wav.read(fields["file"]))
    except wav.InvalidWav as error:
        raise HTTPError(400, f"file: {error}") from error
    return _format_result(decoded, style)


def _format_result(decoded: Decoded, style: str) -> Response:
    text = codec.decode(decoded.morse)
    if style == "text":
        return Response(f"{text}\n".encode(), "text/plain; charset=utf-8")
    if style == "json":
        return make_json_response({"text": text})
    return make_json_response(
        {"text": text, "morse": decoded.morse, "wpm": decoded.wpm, "frequency": decoded.frequency}
    )


def _handle_load(request: Request) -> Response:
    limits = {"wpm": [LOWEST_WPM, HIGHEST_WPM], "frequency": [LOWEST_HZ, HIGHEST_HZ]}
    return make_json_response({"status": "loaded", "model": "morse", **limits})
