"""Text → sound → text."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from examples.morse.morse import codec, hearing, tone, wav

WORDS = st.lists(st.text(st.sampled_from(sorted(codec.ALPHABET)), min_size=1, max_size=4), min_size=1, max_size=3)


def spoken(text: str, *, wpm: float = 20, frequency: float = 600) -> list[float]:
    return tone.synthesise(codec.encode(text), wpm=wpm, frequency=frequency)


def heard(samples: list[float], rate: int = tone.RATE) -> str:
    return codec.decode(hearing.listen(*wav.read(wav.write(samples, rate))).morse)


def with_noise(samples: list[float], amount: float, seed: int = 7) -> list[float]:
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
def test_what_is_said_is_heard(words: list[str], wpm: float, frequency: float, noise: float, seed: int) -> None:
    text = " ".join(words)
    # All dots or all dashes leave the speed open.
    assume({".", "-"} <= set(codec.encode(text)))
    assert heard(with_noise(spoken(text, wpm=wpm, frequency=frequency), noise, seed)) == text


@pytest.mark.parametrize("wpm", [5, 8, 25, 40])
def test_the_speed_and_the_tone_are_measured(wpm: int) -> None:
    result = hearing.listen(spoken("PARIS 73", wpm=wpm, frequency=470), tone.RATE)
    assert (codec.decode(result.morse), result.frequency) == ("PARIS 73", 470)
    assert result.wpm == pytest.approx(wpm, rel=0.03)


@pytest.mark.parametrize("text", ["E", "T", "SOS", "EISH5", "TMO0", "OTTO MOM"])
def test_at_the_usual_speed_even_a_text_of_one_mark_is_heard(text: str) -> None:
    assert heard(spoken(text, wpm=20)) == text


def test_silence_and_noise_around_the_message_do_not_matter() -> None:
    assert heard(with_noise([0.0] * 9000 + spoken("CQ DE DL1ABC") + [0.0] * 20000, 0.2)) == "CQ DE DL1ABC"


@pytest.mark.parametrize("samples", [[], [0.0] * 8000, with_noise([0.0] * 16000, 0.5), [0.7] * 8000])
def test_a_recording_without_a_tone_says_nothing(samples: list[float]) -> None:
    assert hearing.listen(samples, tone.RATE) == hearing.Heard()


@pytest.mark.parametrize("factor", [2, 6])
def test_other_sample_rates_are_heard(factor: int) -> None:
    samples = [sample for sample in spoken("RATE 48") for _ in range(factor)]
    assert heard(samples, tone.RATE * factor) == "RATE 48"


def test_the_announced_duration_is_the_sounds() -> None:
    morse = codec.encode("HOW LONG?")
    assert len(tone.synthesise(morse, wpm=13, frequency=500)) / tone.RATE == pytest.approx(
        tone.duration_s(morse, 13), abs=0.01
    )


def test_the_standard_word_takes_its_share_of_a_minute() -> None:
    # PARIS and the gap behind it are fifty dots by definition.
    two = tone.duration_s(codec.encode("PARIS PARIS"), 20)
    assert two - tone.duration_s(codec.encode("PARIS"), 20) == pytest.approx(60 / 20)
