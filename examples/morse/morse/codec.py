"""Text ↔ Morse code, written as ``"... --- ..."``: a space between letters, ``" / "`` between words."""

from __future__ import annotations

# ITU-R M.1677-1; the last line has common marks that the standard does not define.
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
# Replaces an unknown pattern; the alphabet does not contain it.
UNKNOWN = "*"

_LETTERS = {code: letter for letter, code in ALPHABET.items()}


class UnknownCharacters(ValueError):
    """The text contains characters without a Morse code."""

    def __init__(self, characters: str) -> None:
        super().__init__(f"no Morse code for {characters!r}")
        self.characters = characters


def normalise(text: str) -> str:
    """Return the text in capitals, with one space between words."""
    return " ".join(text.upper().split())


def encode(text: str) -> str:
    """Encode ``text`` as Morse code; raises UnknownCharacters."""
    words = normalise(text).split()
    unknown = "".join(sorted({letter for word in words for letter in word} - ALPHABET.keys()))
    if unknown:
        raise UnknownCharacters(unknown)
    return f" {WORD_GAP} ".join(" ".join(ALPHABET[letter] for letter in word) for word in words)


def decode(morse: str) -> str:
    """Decode Morse code; an unknown pattern becomes ``UNKNOWN``."""
    words = (word.split() for word in morse.split(WORD_GAP))
    return " ".join("".join(_LETTERS.get(code, UNKNOWN) for code in word) for word in words if word)
