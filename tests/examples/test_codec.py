"""Text ↔ Morse code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.morse.morse import codec

WORDS = st.lists(st.text(st.sampled_from(sorted(codec.ALPHABET)), min_size=1, max_size=8), min_size=1, max_size=5)


def test_no_two_characters_share_a_code() -> None:
    assert len(set(codec.ALPHABET.values())) == len(codec.ALPHABET)


def test_letters_and_words_are_separated() -> None:
    assert codec.encode("SOS  it's\nme") == "... --- ... / .. - .----. ... / -- ."


@given(WORDS)
def test_text_survives_the_round_trip(words: list[str]) -> None:
    assert codec.decode(codec.encode(" ".join(words).lower())) == " ".join(words)


@given(st.text())
def test_any_text_is_encoded_or_named_as_unknown(text: str) -> None:
    unknown = {letter for letter in codec.normalise(text) if letter != " "} - codec.ALPHABET.keys()
    if unknown:
        with pytest.raises(codec.UnknownCharacters) as refused:
            codec.encode(text)
        assert set(refused.value.characters) == unknown
    else:
        assert codec.decode(codec.encode(text)) == codec.normalise(text)


def test_unknown_characters_are_named_once() -> None:
    with pytest.raises(codec.UnknownCharacters, match="'#€'"):
        codec.encode("#a€ #")


def test_an_unknown_pattern_is_marked() -> None:
    assert codec.decode("... ........ ... / / .") == "S*S E"
