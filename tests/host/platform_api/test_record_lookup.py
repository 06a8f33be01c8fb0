"""The size of a page, by which an API of 2025 remembers a list."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chutes_wrappers.host.platform_api import record_lookup


def test_no_page_size_is_used_again_while_a_list_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for step in range(60):
        clock = SimpleNamespace(time=lambda step=step: 1_800_000_000.6 + step * 1.2)
        monkeypatch.setattr(record_lookup, "time", clock)
        sizes.append(record_lookup.choose_page_size())
    assert sorted(sizes[:50]) == list(range(51, 101))
    assert sizes[50:] == sizes[:10]
