"""Text ↔ Morse code, written as ``"... --- ..."``: a space between letters, ``" / "`` between words."""

from __future__ import annotations

# ITU-R M.1677-1, and the last line: marks that are customary without being in it.
ALPHABET = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..",
    "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.",
    "S": "...", "T": "-", "U": "..-", "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
    "0": "-----", "1": ".----", "2": "..---", "3": "...--", "4": "....-",
    "5": ".....", "6": "-....", "7": "--...", "8": "---..", "9": "----.",
    ".": ".-.-.-", ",": "--..--", ":": "---...", "?": "..--..", "'": ".----.", "-": "-....-", "/": "-..-.",
    "(": "-.--.", ")": "-.--.-", '"': ".-..-.", "=": "-...-", "+": ".-.-.", "@": ".--.-.",
    "!": "-.-.--", "&": ".-...", ";": "-.-.-.", "_": "..--.-", "$": "...-..-",
}  # fmt: skip
WORD_GAP = "/"
# Stands for a pattern that is no letter; not itself in the alphabet.
UNKNOWN = "*"

_LETTERS = {code: letter for letter, code in ALPHABET.items()}


class UnknownCharacters(ValueError):
    """The text holds characters that Morse code has no pattern for."""

    def __init__(self, characters: str) -> None:
        super().__init__(f"no Morse code for {characters!r}")
        self.characters = characters


def normalise(text: str) -> str:
    """The text as Morse code can carry it: capitals, and one space between words."""
    return " ".join(text.upper().split())


def encode(text: str) -> str:
    """Morse code for ``text``; UnknownCharacters names what cannot be sent."""
    words = normalise(text).split()
    unknown = "".join(sorted({letter for word in words for letter in word} - ALPHABET.keys()))
    if unknown:
        raise UnknownCharacters(unknown)
    return f" {WORD_GAP} ".join(" ".join(ALPHABET[letter] for letter in word) for word in words)


def decode(morse: str) -> str:
    """Text for Morse code; a pattern that is no letter becomes ``UNKNOWN``."""
    words = (word.split() for word in morse.split(WORD_GAP))
    return " ".join("".join(_LETTERS.get(code, UNKNOWN) for code in word) for word in words if word)
