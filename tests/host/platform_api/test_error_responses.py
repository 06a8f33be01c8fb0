"""What is shown of an answer that refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.platform_api.error_responses import detail, next_step


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"detail": "Image not found"}', "Image not found"),
        ('{"detail": [{"loc": ["body", "name"], "msg": "too long", "input": "x"}]}', "name: too long"),
        ("<html><head><title>502 Bad &amp; Gateway</title></head><body>…</body></html>", "502 Bad & Gateway"),
        ("<h1>Oh</h1><p>no</p>", "Oh no"),
        ("plain words", "plain words"),
        ('{"other": 1}', '{"other": 1}'),
        ("", ""),
    ],
)
def test_its_own_words_are_shown(text: str, shown: str) -> None:
    assert detail(text) == shown


@given(st.text() | st.text().map(lambda text: json.dumps({"detail": text})))
def test_it_is_one_short_line_without_secrets(text: str) -> None:
    shown = detail(text + " seed-4711 ", ["seed-4711"])
    assert len(shown) <= 400
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "seed-4711" not in shown


@given(st.integers(300, 599))
def test_every_status_has_a_next_step(status: int) -> None:
    assert next_step(status, "the account")
    assert "{" not in next_step(status, "the account")
