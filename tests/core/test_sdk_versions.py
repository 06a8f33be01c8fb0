"""The tested versions of the SDK."""

from __future__ import annotations

import pytest

from chutes_wrappers.core import sdk_versions
from chutes_wrappers.core.platform_rules import PLATFORM_SDK_VERSION


@pytest.mark.parametrize(
    ("version", "is_one"), [("0.5.2", True), ("0.6.9", True), ("0.6.10", False), ("0.6.11rc2", False), ("1.0", False)]
)
def test_later_versions_have_wheels_only(version: str, is_one: bool) -> None:
    assert sdk_versions.is_compiled(version) is is_one


def test_the_default_is_no_pre_release(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sdk_versions.get_default_sdk() == "0.6.9"
    monkeypatch.setattr(sdk_versions, "TESTED_SDKS", ("0.6.9", "0.6.11", "0.6.12rc1"))
    assert sdk_versions.get_default_sdk() == "0.6.11"


def test_the_platforms_own_version_was_tested() -> None:
    assert PLATFORM_SDK_VERSION in sdk_versions.TESTED_SDKS
