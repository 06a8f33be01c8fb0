"""Text → sound → text."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from examples.morse.morse import codec, hearing, tone, wav

WORDS = st.lists(st.text(st.sampled_from(sorted(codec.ALPHABET)), min_size=1, max_size=4), min_size=1, max_size=3)


def synthesise_text(text: str, *, wpm: float = 20, frequency: float = 600) -> list[float]:
    return tone.synthesise(codec.encode(text), wpm=wpm, frequency=frequency)


def decode(samples: list[float], rate: int = tone.RATE) -> str:
    return codec.decode(hearing.decode_samples(*wav.read(wav.write(samples, rate))).morse)


def add_noise(samples: list[float], amount: float, seed: int = 7) -> list[float]:
    source = random.Random(seed)
    return [sample + source.uniform(-amount, amount) for sample in samples]


@settings(max_examples=30, deadline=None)
@given(
    words=WORDS,
    wpm=st.floats(12, 40),
    frequency=st.floats(300, 1000),
    noise=st.floats(0, 0.25),
    seed=st.integers(0, 1000),
)
def test_a_synthesised_text_is_decoded(words: list[str], wpm: float, frequency: float, noise: float, seed: int) -> None:
    text = " ".join(words)
    # With only dots or only dashes the speed is ambiguous.
    assume({".", "-"} <= set(codec.encode(text)))
    assert decode(add_noise(synthesise_text(text, wpm=wpm, frequency=frequency), noise, seed)) == text


@pytest.mark.parametrize("wpm", [5, 8, 25, 40])
def test_the_speed_and_the_tone_are_measured(wpm: int) -> None:
    result = hearing.decode_samples(synthesise_text("PARIS 73", wpm=wpm, frequency=470), tone.RATE)
    assert (codec.decode(result.morse), result.frequency) == ("PARIS 73", 470)
    assert result.wpm == pytest.approx(wpm, rel=0.03)


@pytest.mark.parametrize("text", ["E", "T", "SOS", "EISH5", "TMO0", "OTTO MOM"])
def test_a_text_of_one_mark_is_decoded_at_the_usual_speed(text: str) -> None:
    assert decode(synthesise_text(text, wpm=20)) == text


def test_silence_and_noise_around_the_message_do_not_matter() -> None:
    assert decode(add_noise([0.0] * 9000 + synthesise_text("CQ DE DL1ABC") + [0.0] * 20000, 0.2)) == "CQ DE DL1ABC"


@pytest.mark.parametrize("samples", [[], [0.0] * 8000, add_noise([0.0] * 16000, 0.5), [0.7] * 8000])
def test_a_recording_without_a_tone_is_empty(samples: list[float]) -> None:
    assert hearing.decode_samples(samples, tone.RATE) == hearing.Decoded()


@pytest.mark.parametrize("factor", [2, 6])
def test_other_sample_rates_are_decoded(factor: int) -> None:
    samples = [sample for sample in synthesise_text("RATE 48") for _ in range(factor)]
    assert decode(samples, tone.RATE * factor) == "RATE 48"


def test_the_calculated_duration_is_the_duration_of_the_sound() -> None:
    morse = codec.encode("HOW LONG?")
    assert len(tone.synthesise(morse, wpm=13, frequency=500)) / tone.RATE == pytest.approx(
        tone.measure_duration_s(morse, 13), abs=0.01
    )


def test_the_standard_word_has_the_standard_duration() -> None:
    # PARIS and the gap after it are fifty dots by definition.
    two = tone.measure_duration_s(codec.encode("PARIS PARIS"), 20)
    assert two - tone.measure_duration_s(codec.encode("PARIS"), 20) == pytest.approx(60 / 20)
