"""Port 8020: text → Morse code, as text and as sound. Described by /openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import codec, openapi, tone, wav
from .schema import Invalid, checked
from .settings import HIGHEST_HZ, HIGHEST_WPM, LOWEST_HZ, LOWEST_WPM, Settings
from .web import Handler, HTTPError, Request, Response, Route, Service, json_response

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
_BAD_REQUEST = {"400": openapi.json_answer("Error", {"error": "the body lacks text"}, "The request cannot be served")}


def service(settings: Settings) -> Service:
    """The speaker, with the speed and the tone of ``settings`` where a request names none."""
    schemas = _schemas(settings)
    routes = [
        Route("POST", "/speak", _speak(schemas["SpeakRequest"]), _SPEAK),
        Route("POST", "/encode", _encode(schemas["EncodeRequest"]), _ENCODE),
        Route("GET", "/alphabet", _alphabet, _ALPHABET),
        Route("GET", "/health", _health, _HEALTH),
    ]
    description = "Text as Morse code: written down, or as sound."
    document = openapi.document("Morse speaker", description, routes, schemas)
    routes.append(Route("GET", "/openapi.json", lambda request: json_response(document)))
    return Service("speaker", routes)


def _speak(schema: Mapping[str, Any]) -> Handler:
    def speak(request: Request) -> Response:
        order = _valid(request.json(), schema)
        morse = _morse(order["text"])
        if tone.duration_s(morse, order["wpm"]) > LONGEST_SOUND_S:
            raise HTTPError(400, f"the sound would last longer than {LONGEST_SOUND_S} s; send less text, or faster")
        samples = tone.synthesise(morse, wpm=order["wpm"], frequency=order["frequency"])
        return Response(wav.write(samples, tone.RATE), "audio/wav")

    return speak


def _encode(schema: Mapping[str, Any]) -> Handler:
    def encode(request: Request) -> Response:
        return json_response({"morse": _morse(_valid(request.json(), schema)["text"])})

    return encode


def _alphabet(request: Request) -> Response:
    letters = codec.normalised(_valid(request.query.get("letters", ""), _LETTERS, "letters")).replace(" ", "")
    unknown = sorted(set(letters) - codec.ALPHABET.keys())
    if unknown:
        raise HTTPError(400, str(codec.UnknownCharacters("".join(unknown))))
    return json_response({letter: codec.ALPHABET[letter] for letter in letters or codec.ALPHABET})


def _health(request: Request) -> Response:
    return json_response({"status": "ok"})


def _morse(text: str) -> str:
    try:
        morse = codec.encode(text)
    except codec.UnknownCharacters as error:
        raise HTTPError(400, str(error)) from error
    if not morse:
        raise HTTPError(400, "text has nothing but spaces")
    return morse


def _valid(value: Any, schema: Mapping[str, Any], where: str = "the body") -> Any:
    try:
        return checked(value, schema, where)
    except Invalid as error:
        raise HTTPError(400, str(error)) from error


def _schemas(settings: Settings) -> dict[str, Any]:
    wpm = {"type": "number", "minimum": LOWEST_WPM, "maximum": HIGHEST_WPM, "default": settings.wpm}
    frequency = {"type": "number", "minimum": LOWEST_HZ, "maximum": HIGHEST_HZ, "default": settings.frequency}
    return {
        "SpeakRequest": _closed_object(
            {
                "text": _TEXT,
                "wpm": {**wpm, "description": "Speed in words a minute."},
                "frequency": {**frequency, "description": "Pitch in Hz."},
            },
            ["text"],
        ),
        "EncodeRequest": _closed_object({"text": _TEXT}, ["text"]),
        "Morse": _closed_object({"morse": {"type": "string", "pattern": "^[-./ ]+$"}}, ["morse"]),
        "Alphabet": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[-.]+$"}},
        "Health": _closed_object({"status": {"const": "ok"}}, ["status"]),
        "Error": _closed_object({"error": {"type": "string"}}, ["error"]),
    }


def _closed_object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_SPEAK = {
    "operationId": "speak",
    "summary": "Text as sound",
    "requestBody": openapi.json_body("SpeakRequest", {"text": "SOS", "wpm": 20, "frequency": 600}),
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
    "requestBody": openapi.json_body("EncodeRequest", {"text": "SOS"}),
    "responses": {"200": openapi.json_answer("Morse", {"morse": _SOS}, "The Morse code"), **_BAD_REQUEST},
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
        "200": openapi.json_answer("Alphabet", {"S": "...", "O": "---"}, "Code by character"),
        **_BAD_REQUEST,
    },
}
_HEALTH = {
    "operationId": "health",
    "summary": "Whether the service answers",
    "responses": {"200": openapi.json_answer("Health", {"status": "ok"}, "It does")},
}
