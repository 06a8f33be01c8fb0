"""The sample without a specification, called directly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.examples.serving import serve

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "search"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve([sys.executable, str(FOLDER / "app.py")]) as url:
        for name in ("one", "two"):
            assert requests.post(f"{url}/documents", json={"id": name, "text": f"{name} fish"}, timeout=60).ok
        yield url


@pytest.mark.parametrize(("limit", "hits"), [("1", 1), ("99999999999999999999", 2), ("-1", 1), ("0", 1)])
def test_a_limit_is_clamped_to_its_range(url: str, limit: str, hits: int) -> None:
    response = requests.get(f"{url}/search", params={"q": "fish", "limit": limit}, timeout=60)
    assert (response.status_code, len(response.json()["hits"])) == (200, hits)


@pytest.mark.parametrize("query", [{"q": ""}, {"q": "fish", "limit": "many"}, {"q": "fi\0sh"}])
def test_an_invalid_query_is_a_client_error(url: str, query: dict[str, str]) -> None:
    response = requests.get(f"{url}/search", params=query, timeout=60)
    assert response.status_code == 400
    assert response.json()["error"]
