"""Samples → Morse code.

Find the tone (projection of the loudest frames onto sines), measure its level over time, and split that into marks and gaps. Then
find the dot length that fits their durations best. A second pass uses the dot length of the first: everything much shorter is
noise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, groupby
from operator import add, mul

from .codec import WORD_GAP
from .tone import DASH, LETTER_GAP, UNIT_S_AT_1_WPM, WORD_GAP_UNITS

_RATE = 8_000
_TONES_HZ = range(200, 1_201, 10)
_FRAME_S = 0.02
_LOUDEST_FRAMES = 40
# Share of the energy of the loudest frames that the tone must have: white noise has a tenth, a clean tone nearly all.
_MIN_TONALITY = 0.25
_STEP_S = 0.0025
_STEPS_A_WINDOW = 4
_SHORTEST_MARK_S = 0.012
_SPEEDS_WPM = [4 * 1.02**index for index in range(127)]  # 4 to 48
# A single letter such as T is also E at a third of the speed: then the speed nearer to this one is used.
_USUAL_WPM = 20
_PRIOR_WEIGHT = 0.02
_WORST_GAP_COST = 0.1

Run = tuple[bool, int]


@dataclass(frozen=True)
class Decoded:
    """A decoded recording: Morse code, speed in words per minute, tone in Hz; empty and zero without a tone."""

    morse: str = ""
    wpm: float = 0.0
    frequency: int = 0


def decode_samples(samples: Sequence[float], rate: int) -> Decoded:
    """Decode one tone between 200 and 1200 Hz, keyed at 4 to 48 words per minute."""
    samples, rate = _resample(samples, rate)
    frequency = _find_tone(samples, rate)
    if not frequency:
        return Decoded()
    levels, step_s = _measure_levels(samples, rate, frequency)
    runs = _find_runs(levels, _SHORTEST_MARK_S / step_s)
    if not runs:
        return Decoded()
    unit = _estimate_unit(runs, step_s)
    clearer = _find_runs(_smooth(levels, round(0.4 * unit)), 0.4 * unit)
    if clearer:
        runs, unit = clearer, _estimate_unit(clearer, step_s)
    return Decoded(
        morse=_format_morse(runs, unit), wpm=round(UNIT_S_AT_1_WPM / (unit * step_s), 1), frequency=frequency
    )


def _resample(samples: Sequence[float], rate: int) -> tuple[list[float], int]:
    """Resample to about 8 kHz (each new sample is the mean of several), without a constant offset."""
    factor = max(1, rate // _RATE)
    whole = len(samples) // factor * factor
    if not whole:
        return [], rate
    total = reduce(lambda left, right: list(map(add, left, right)), (samples[i:whole:factor] for i in range(factor)))
    mean = math.fsum(total) / len(total)
    return [(value - mean) / factor for value in total], rate // factor


def _find_tone(samples: Sequence[float], rate: int) -> int:
    """Find the tone's frequency in Hz; 0 if the loudest frames have no tone."""
    length = round(_FRAME_S * rate)
    frames = [samples[start : start + length] for start in range(0, len(samples) - length + 1, length)]
    loudest = sorted(((_dot(frame, frame), frame) for frame in frames), key=lambda pair: pair[0])[-_LOUDEST_FRAMES:]
    energy = sum(pair[0] for pair in loudest)
    if energy <= 1e-12:
        return 0
    power, frequency = max((_measure_power(loudest, hz, rate), hz) for hz in _TONES_HZ if hz < 0.45 * rate)
    return frequency if 2 * power / length / energy >= _MIN_TONALITY else 0


def _measure_power(frames: Sequence[tuple[float, Sequence[float]]], frequency: int, rate: int) -> float:
    cosine, sine = _make_waves(frequency, rate, len(frames[0][1]))
    return sum(_dot(frame, cosine) ** 2 + _dot(frame, sine) ** 2 for _, frame in frames)


def _make_waves(frequency: int, rate: int, length: int) -> tuple[list[float], list[float]]:
    angles = [2 * math.pi * frequency * index / rate for index in range(length)]
    return [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return float(sum(map(mul, left, right)))


def _measure_levels(samples: Sequence[float], rate: int, frequency: int) -> tuple[list[float], float]:
    """Measure the tone's level, one value per step; also return the length of a step in seconds."""
    step = round(_STEP_S * rate)
    # A whole number of Hz repeats after a second, so the waves of one second serve the whole recording.
    cosine, sine = _make_waves(frequency, rate, rate + step)
    real, imaginary = [], []
    for start in range(0, len(samples) - step + 1, step):
        block, phase = samples[start : start + step], start % rate
        real.append(_dot(block, cosine[phase : phase + step]))
        imaginary.append(_dot(block, sine[phase : phase + step]))
    return list(map(math.hypot, _smooth(real, _STEPS_A_WINDOW), _smooth(imaginary, _STEPS_A_WINDOW))), step / rate


def _smooth(values: Sequence[float], width: int) -> list[float]:
    """Return the moving mean; outside of ``values`` there is silence."""
    if width < 2:
        return list(values)
    before = width // 2
    padded = [*[0.0] * before, *values, *[0.0] * (width - before)]
    sums = [0.0, *accumulate(padded)]
    return [(sums[index + width] - sums[index]) / width for index in range(len(values))]


def _find_runs(levels: Sequence[float], shortest: float) -> list[Run]:
    """Find marks (True) and gaps with their lengths in steps, from the first mark to the last.

    Runs below ``shortest`` steps are noise.
    """
    loudest = max(levels, default=0.0)
    loud = sorted(level for level in levels if level > loudest / 2)
    if not loud:
        return []
    threshold = loud[len(loud) // 2] / 2
    runs: list[Run] = []
    for on, group in groupby(level > threshold for level in levels):
        length = sum(1 for _ in group)
        if runs and (length < shortest or runs[-1][0] == on):
            runs[-1] = (runs[-1][0], runs[-1][1] + length)
        elif length >= shortest and (runs or on):
            runs.append((on, length))
    return runs if not runs or runs[-1][0] else runs[:-1]


def _estimate_unit(runs: Sequence[Run], step_s: float) -> float:
    """Estimate the length of a dot in steps: that of the speed whose dots, dashes and gaps fit the runs best."""
    lengths = Counter(runs)
    speed = min(_SPEEDS_WPM, key=lambda wpm: _measure_misfit(lengths, UNIT_S_AT_1_WPM / wpm / step_s, wpm))
    return UNIT_S_AT_1_WPM / speed / step_s


def _measure_misfit(lengths: Counter[Run], unit: float, wpm: float) -> float:
    cost = _PRIOR_WEIGHT * math.log(wpm / _USUAL_WPM) ** 2
    for (on, length), times in lengths.items():
        nominal = (1, DASH) if on else (1, LETTER_GAP, WORD_GAP_UNITS)
        misfit = min(math.log(length / unit / units) ** 2 for units in nominal)
        # A pause can have any length.
        is_pause = not on and length > WORD_GAP_UNITS * unit
        cost += times * (min(misfit, _WORST_GAP_COST) if is_pause else misfit)
    return cost


def _format_morse(runs: Sequence[Run], unit: float) -> str:
    def sign(on: bool, units: float) -> str:
        if on:
            return "." if units < (1 + DASH) / 2 else "-"
        if units < (1 + LETTER_GAP) / 2:
            return ""
        return " " if units < (LETTER_GAP + WORD_GAP_UNITS) / 2 else f" {WORD_GAP} "

    return "".join(sign(on, length / unit) for on, length in runs)
