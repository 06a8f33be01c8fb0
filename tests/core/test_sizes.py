from __future__ import annotations

import pytest

from chutes_wrappers.core.sizes import format_gib, parse_gib


def test_a_number_of_gib_is_bytes_and_back() -> None:
    assert (parse_gib("10"), parse_gib("0.5")) == (10 * 1024**3, 512 * 1024**2)
    assert [format_gib(parse_gib(text)) for text in ("10", "10.31", "0.002")] == ["10 GiB", "10.3 GiB", "0.002 GiB"]


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "ten", "10g"])
def test_other_texts_are_not_sizes(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # argparse and click write the message
        parse_gib(text)
