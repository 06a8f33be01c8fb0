"""The sample without a specification, asked directly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.examples.serving import served

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "search"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served([sys.executable, str(FOLDER / "app.py")]) as url:
        for name in ("one", "two"):
            assert requests.post(f"{url}/documents", json={"id": name, "text": f"{name} fish"}, timeout=60).ok
        yield url


@pytest.mark.parametrize(("limit", "hits"), [("1", 1), ("99999999999999999999", 2), ("-1", 1), ("0", 1)])
def test_a_limit_of_any_size_is_brought_into_its_range(url: str, limit: str, hits: int) -> None:
    answer = requests.get(f"{url}/search", params={"q": "fish", "limit": limit}, timeout=60)
    assert (answer.status_code, len(answer.json()["hits"])) == (200, hits)


@pytest.mark.parametrize("query", [{"q": ""}, {"q": "fish", "limit": "many"}, {"q": "fi\0sh"}])
def test_what_cannot_be_searched_is_an_error_of_the_callers(url: str, query: dict[str, str]) -> None:
    answer = requests.get(f"{url}/search", params=query, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]
