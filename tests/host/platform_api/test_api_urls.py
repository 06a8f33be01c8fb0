"""The URL of the API in use, and of its chutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_urls import build_chute_url, find_chute_url, resolve_api_url
from chutes_wrappers.host.platform_api.objects import ChuteInfo, parse_chute


def test_the_sdks_configuration_file_beats_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CHUTES_API_URL", "CHUTES_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert resolve_api_url() == "https://api.chutes.ai"
    monkeypatch.setenv("CHUTES_API_URL", "https://variable/")
    assert resolve_api_url() == "https://variable"
    (tmp_path / "config").write_text("[api]\nbase_url = https://file\n")
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(tmp_path / "config"))
    assert resolve_api_url() == "https://file"


def make_chute(slug: object) -> ChuteInfo:
    return parse_chute({"chute_id": "1", "name": "my-chute", "slug": slug})


def test_a_chute_is_called_by_its_slug_below_the_apis_domain_or_at_the_emulators_port() -> None:
    chute = make_chute("tester-my-chute")
    assert build_chute_url(chute, "https://api.chutes.ai") == "https://tester-my-chute.chutes.ai"
    assert build_chute_url(chute, "https://api.other.example") == "https://tester-my-chute.other.example"
    assert build_chute_url(chute, "https://api.example") == "https://tester-my-chute.api.example"
    assert build_chute_url(chute, "http://127.0.0.1:8000") == "http://tester-my-chute.localhost:8000"


@pytest.mark.parametrize(
    "slug",
    [None, "", "evil.example/", "a.b", "evil.example#", "user@evil", "a:1", "x y", "UPPER", "ä", "a\nb", "a%2e", ["x"]],
)
def test_a_slug_that_is_not_one_label_of_a_host_is_never_called(slug: object) -> None:
    for url in ("https://api.chutes.ai", "http://127.0.0.1:8000"):
        with pytest.raises(WrapperError, match="no valid host") as caught:
            build_chute_url(make_chute(slug), url)
        assert "--url" in str(caught.value)
        assert find_chute_url(make_chute(slug), url) is None
