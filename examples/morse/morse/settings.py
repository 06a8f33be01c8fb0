"""Settings from the environment: addresses, and the defaults of the speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOWEST_WPM, HIGHEST_WPM = 5, 40
LOWEST_HZ, HIGHEST_HZ = 300, 1000


class InvalidSetting(ValueError):
    """A variable has an invalid value; the message names both."""


@dataclass(frozen=True)
class Settings:
    """Addresses, speed and tone. The defaults are for a user's machine; the image sets HOST for published ports."""

    host: str = "127.0.0.1"
    speaker_port: int = 8020
    listener_port: int = 8080
    wpm: int = 20
    frequency: int = 600


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read HOST, PORT_SPEAK, PORT_LISTEN, MORSE_WPM and MORSE_FREQUENCY; raises InvalidSetting."""

    def number(name: str, default: int, low: int, high: int) -> int:
        text = environment.get(name) or str(default)
        if not text.isdecimal() or not low <= int(text) <= high:
            raise InvalidSetting(f"{name}={text!r} must be a whole number from {low} to {high}")
        return int(text)

    return Settings(
        host=environment.get("HOST") or Settings.host,
        speaker_port=number("PORT_SPEAK", Settings.speaker_port, 0, 65535),
        listener_port=number("PORT_LISTEN", Settings.listener_port, 0, 65535),
        wpm=number("MORSE_WPM", Settings.wpm, LOWEST_WPM, HIGHEST_WPM),
        frequency=number("MORSE_FREQUENCY", Settings.frequency, LOWEST_HZ, HIGHEST_HZ),
    )
