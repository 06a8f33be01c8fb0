"""Port 8020: text → Morse code, as text and as sound. Described by /openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import codec, openapi, tone, wav
from .schema import Invalid, validate
from .settings import HIGHEST_HZ, HIGHEST_WPM, LOWEST_HZ, LOWEST_WPM, Settings
from .web import Handler, HTTPError, Request, Response, Route, Service, make_json_response

LONGEST_TEXT = 500
LONGEST_SOUND_S = 600

_SOS = "... --- ..."
_TEXT = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_TEXT,
    "description": "Letters, digits and the punctuation that GET /alphabet lists; upper and lower case are the same.",
}
_LETTERS = {"type": "string", "maxLength": LONGEST_TEXT}
_BAD_REQUEST = {
    "400": openapi.describe_json_response("Error", {"error": "the body lacks text"}, "The request cannot be served")
}


def build_service(settings: Settings) -> Service:
    """Build the speaker, with the default speed and tone of ``settings``."""
    schemas = _build_schemas(settings)
    routes = [
        Route("POST", "/speak", _make_speak_handler(schemas["SpeakRequest"]), _SPEAK),
        Route("POST", "/encode", _make_encode_handler(schemas["EncodeRequest"]), _ENCODE),
        Route("GET", "/alphabet", _handle_alphabet, _ALPHABET),
        Route("GET", "/health", _handle_health, _HEALTH),
    ]
    description = "Text as Morse code: written down, or as sound."
    document = openapi.build_document("Morse speaker", description, routes, schemas)
    routes.append(Route("GET", "/openapi.json", lambda request: make_json_response(document)))
    return Service("speaker", routes)


def _make_speak_handler(schema: Mapping[str, Any]) -> Handler:
    def speak(request: Request) -> Response:
        order = _validate(request.json(), schema)
        morse = _encode_text(order["text"])
        if tone.measure_duration_s(morse, order["wpm"]) > LONGEST_SOUND_S:
            raise HTTPError(400, f"the sound would last longer than {LONGEST_SOUND_S} s; send less text, or faster")
        samples = tone.synthesise(morse, wpm=order["wpm"], frequency=order["frequency"])
        return Response(wav.write(samples, tone.RATE), "audio/wav")

    return speak


def _make_encode_handler(schema: Mapping[str, Any]) -> Handler:
    def encode(request: Request) -> Response:
        return make_json_response({"morse": _encode_text(_validate(request.json(), schema)["text"])})

    return encode


def _handle_alphabet(request: Request) -> Response:
    letters = codec.normalise(_validate(request.query.get("letters", ""), _LETTERS, "letters")).replace(" ", "")
    unknown = sorted(set(letters) - codec.ALPHABET.keys())
    if unknown:
        raise HTTPError(400, str(codec.UnknownCharacters("".join(unknown))))
    return make_json_response({letter: codec.ALPHABET[letter] for letter in letters or codec.ALPHABET})


def _handle_health(request: Request) -> Response:
    return make_json_response({"status": "ok"})


def _encode_text(text: str) -> str:
    try:
        morse = codec.encode(text)
    except codec.UnknownCharacters as error:
        raise HTTPError(400, str(error)) from error
    if not morse:
        raise HTTPError(400, "text has nothing but spaces")
    return morse


def _validate(value: Any, schema: Mapping[str, Any], where: str = "the body") -> Any:
    try:
        return validate(value, schema, where)
    except Invalid as error:
        raise HTTPError(400, str(error)) from error


def _build_schemas(settings: Settings) -> dict[str, Any]:
    wpm = {"type": "number", "minimum": LOWEST_WPM, "maximum": HIGHEST_WPM, "default": settings.wpm}
    frequency = {"type": "number", "minimum": LOWEST_HZ, "maximum": HIGHEST_HZ, "default": settings.frequency}
    return {
        "SpeakRequest": _make_closed_object(
            {
                "text": _TEXT,
                "wpm": {**wpm, "description": "Speed in words a minute."},
                "frequency": {**frequency, "description": "Pitch in Hz."},
            },
            ["text"],
        ),
        "EncodeRequest": _make_closed_object({"text": _TEXT}, ["text"]),
        "Morse": _make_closed_object({"morse": {"type": "string", "pattern": "^[-./ ]+$"}}, ["morse"]),
        "Alphabet": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[-.]+$"}},
        "Health": _make_closed_object({"status": {"const": "ok"}}, ["status"]),
        "Error": _make_closed_object({"error": {"type": "string"}}, ["error"]),
    }


def _make_closed_object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_SPEAK = {
    "operationId": "speak",
    "summary": "Text as sound",
    "requestBody": openapi.describe_json_body("SpeakRequest", {"text": "SOS", "wpm": 20, "frequency": 600}),
    "responses": {
        "200": {
            "description": f"A 16-bit mono PCM file at {tone.RATE} Hz",
            "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
        },
        **_BAD_REQUEST,
    },
}
_ENCODE = {
    "operationId": "encode",
    "summary": "Text as dots and dashes",
    "requestBody": openapi.describe_json_body("EncodeRequest", {"text": "SOS"}),
    "responses": {"200": openapi.describe_json_response("Morse", {"morse": _SOS}, "The Morse code"), **_BAD_REQUEST},
}
_ALPHABET = {
    "operationId": "alphabet",
    "summary": "The code table",
    "parameters": [
        {
            "name": "letters",
            "in": "query",
            "required": False,
            "description": "Only these characters; all of them when it is missing or empty.",
            "schema": _LETTERS,
            "example": "SO",
        }
    ],
    "responses": {
        "200": openapi.describe_json_response("Alphabet", {"S": "...", "O": "---"}, "Code by character"),
        **_BAD_REQUEST,
    },
}
_HEALTH = {
    "operationId": "health",
    "summary": "Whether the service is ready",
    "responses": {"200": openapi.describe_json_response("Health", {"status": "ok"}, "It does")},
}
