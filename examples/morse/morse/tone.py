"""Morse code → samples: a keyed sine wave in the standard timing (a dot is 1.2 seconds divided by the words per minute)."""

from __future__ import annotations

import math

from .codec import WORD_GAP

RATE = 8_000
UNIT_S_AT_1_WPM = 1.2
DASH, LETTER_GAP, WORD_GAP_UNITS = 3, 3, 7
_AMPLITUDE = 0.5
# Soft edges, because an abrupt end of a tone clicks; at most a quarter of a dot.
_RAMP_S = 0.005
_MARGIN_S = 0.05


def measure_duration_s(morse: str, wpm: float) -> float:
    """Calculate the duration of the sound of ``synthesise``."""
    units = sum(length for _, length in _build_keys(morse))
    return units * UNIT_S_AT_1_WPM / wpm + 2 * _MARGIN_S


def synthesise(morse: str, *, wpm: float, frequency: float) -> list[float]:
    """Make samples between -1 and 1 at ``RATE``, with a short silence at both ends."""
    unit = UNIT_S_AT_1_WPM / wpm * RATE
    pieces = {(on, n): _synthesise_key(on, round(n * unit), unit, frequency) for on, n in set(_build_keys(morse))}
    margin = [0.0] * round(_MARGIN_S * RATE)
    samples = list(margin)
    for key in _build_keys(morse):
        samples += pieces[key]
    return samples + margin


def _build_keys(morse: str) -> list[tuple[bool, int]]:
    """Build the positions of the key, down (True) or up, with their lengths in units."""
    keys: list[tuple[bool, int]] = []
    for word_index, word in enumerate(morse.split(WORD_GAP)):
        if word_index:
            keys.append((False, WORD_GAP_UNITS))
        for letter_index, letter in enumerate(word.split()):
            if letter_index:
                keys.append((False, LETTER_GAP))
            for mark_index, mark in enumerate(letter):
                if mark_index:
                    keys.append((False, 1))
                keys.append((True, 1 if mark == "." else DASH))
    return keys


def _synthesise_key(on: bool, length: int, unit: float, frequency: float) -> list[float]:
    if not on:
        return [0.0] * length
    ramp = min(_RAMP_S * RATE, unit / 4)
    step = 2 * math.pi * frequency / RATE
    return [
        _AMPLITUDE * math.sin(index * step) * _edge_gain(min(index, length - 1 - index) / ramp)
        for index in range(length)
    ]


def _edge_gain(position: float) -> float:
    return (1 - math.cos(math.pi * position)) / 2 if position < 1 else 1.0
