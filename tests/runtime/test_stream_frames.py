from __future__ import annotations

import base64
import codecs
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.runtime import stream_frames
from chutes_wrappers.runtime.stream_frames import LineTooLong, select_framing

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def frames(content_type: str, pieces: list[bytes]) -> list[bytes]:
    framing = select_framing(content_type)
    return [frame for frame in [*(framing.feed(piece) for piece in pieces), framing.finish()] if frame]


def events(made: list[bytes]) -> list[Any]:
    return [json.loads(part.removeprefix(b"data: ")) for part in b"".join(made).split(b"\n\n") if part]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(st.lists(TEXT.map(lambda text: text.replace("\r", "")), max_size=5), st.lists(st.integers(0, 500), max_size=6))
def test_lines_are_whole_wherever_the_pieces_end(lines: list[str], places: list[int]) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    made = frames("text/event-stream; charset=utf-8", cut(data, places))
    assert b"".join(made) == data
    for frame in made:
        assert frame.endswith(b"\n")
        frame.decode("utf-8")


@given(
    st.lists(
        st.tuples(TEXT.map(lambda text: re.sub("[\r\n]", "", text)), st.sampled_from(["\r", "\n", "\r\n"])), max_size=6
    ),
    st.sampled_from([b"", codecs.BOM_UTF8]),
    st.lists(st.integers(0, 500), max_size=6),
)
def test_every_line_end_of_an_event_stream_becomes_a_line_feed(
    lines: list[tuple[str, str]], mark: bytes, places: list[int]
) -> None:
    data = mark + "".join(line + end for line, end in lines).encode()
    expected = re.sub(b"\r\n?", b"\n", data.removeprefix(codecs.BOM_UTF8))
    assert b"".join(frames("text/event-stream", cut(data, places))) == expected


def test_an_event_that_ends_in_returns_is_sent_at_once() -> None:
    framing = select_framing("text/event-stream")
    assert framing.feed(b"data: a\r\r") == b"data: a\n\n"
    assert framing.feed(b"\ndata: b\r\n\r\n") == b"data: b\n\n"


@given(TEXT, st.lists(st.integers(0, 500), max_size=6))
def test_text_becomes_events_of_whole_characters(text: str, places: list[int]) -> None:
    assert "".join(event["text"] for event in events(frames("text/plain", cut(text.encode(), places)))) == text


@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=6))
def test_any_bytes_round_trip_as_events(data: bytes, places: list[int]) -> None:
    pieces = [piece for piece in cut(data, places) if piece]
    made = events(frames("audio/wav", pieces))
    assert b"".join(base64.b64decode(event["data"]) for event in made) == data
    assert {event["content_type"] for event in made} <= {"audio/wav"}


@pytest.mark.parametrize(
    "kind", ["text/event-stream", "application/x-ndjson", "application/json", "application/ld+json"]
)
def test_a_last_line_without_a_line_feed_gets_one(kind: str) -> None:
    assert frames(kind, [b'{"a"', b":1}"]) == [b'{"a":1}\n']


def test_invalid_utf8_is_replaced() -> None:
    (frame,) = frames("text/event-stream", [b"data: a\xff\xfeb\n"])
    assert frame.decode("utf-8") == "data: a\ufffd\ufffdb\n"


def test_text_that_is_not_in_its_charset_is_replaced_too() -> None:
    assert events(frames("text/plain", [b"a\xffb", b"\xc3"])) == [{"text": "a\ufffdb"}, {"text": "\ufffd"}]


def test_a_line_may_have_half_of_what_the_sdks_reader_takes() -> None:
    """aiohttp gives up on a line of twice its buffer; the SDK's session has one of 8 MiB (SDK chute/cord.py)."""
    assert stream_frames.MAX_LINE_BYTES == 8_388_608


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_our_events_are_ascii_since_the_api_ends_lines_at_other_separators_too(separator: str) -> None:
    made = frames("text/plain", [f"a{separator}é".encode()])
    assert len(b"".join(made).decode("ascii").splitlines()) == 2
    assert events(made) == [{"text": f"a{separator}é"}]


def test_a_line_over_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_frames, "MAX_LINE_BYTES", 10)
    framing = select_framing("text/event-stream")
    assert framing.feed(b"short\nnext") == b"short\n"
    with pytest.raises(LineTooLong):
        framing.feed(b" is long")


@pytest.mark.parametrize(
    "charset", ["iso-8859-1", '"ISO-8859-15"', "windows-1252", "utf-16le", "shift_jis", "us-ascii"]
)
def test_text_is_read_in_the_charset_that_it_names(charset: str) -> None:
    text = "a b" if charset == "us-ascii" else "ソ" if charset == "shift_jis" else "né"
    data = text.encode(charset.strip('"'))
    made = events(frames(f"text/plain; format=flowed; Charset={charset}", [data[:-1], data[-1:]]))
    assert "".join(event["text"] for event in made) == text


@pytest.mark.parametrize(
    "charset", ["no-such", "base64", "idna", "undefined", "utf-16", "utf-7", "unicode_escape", "\0", ""]
)
def test_an_unknown_charset_falls_back_to_utf_8(charset: str) -> None:
    made = events(frames(f"text/plain; charset={charset}", ["né +2AA- \\ud800".encode()]))
    assert made == [{"text": "né +2AA- \\ud800"}]


@given(
    st.sampled_from(["utf-8", "utf-16le", "cp1252", "cp437", "gb18030", "big5hkscs", "iso2022_jp", "euc_kr"]),
    st.binary(),
)
def test_any_bytes_in_any_charset_are_an_event(charset: str, data: bytes) -> None:
    for made in events(frames(f"text/plain; charset={charset}", [data[:3], data[3:]])):
        assert set(made) == {"text"}
