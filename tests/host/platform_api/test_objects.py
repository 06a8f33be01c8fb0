"""Records of the API as values, with missing and with additional fields."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api.objects import (
    format_age,
    parse_account,
    parse_chute,
    parse_image,
    parse_instance,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *(
            "user",
            "name",
            "slug",
            "version",
            "tagline",
            "public",
            "hot",
            "image",
            "instances",
            "ended_instances",
            "cords",
        ),
        *("node_selector", "updated_at", "status", "tag", "balance", "permissions", "permissions_bitmask"),
    ]
)
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@given(st.dictionaries(FIELDS, VALUES))
def test_any_response_is_a_value_or_an_error_that_names_the_missing_key(record: dict[str, Any]) -> None:
    whole = {"chute_id": "1", "image_id": "1", "username": "u", **record}
    refused = []
    for parse in (parse_chute, parse_image, lambda one: parse_account(one, 11, "publish")):
        try:
            parse(whole)
        except WrapperError as error:
            refused.append(error.what)
    assert all("the platform's response has no" in what for what in refused)


def test_an_instance_without_calls_because_of_failures_says_for_how_long() -> None:
    record = {"instance_id": "a", "state": "active", "disabled_until": (NOW + timedelta(seconds=90)).isoformat()}
    instance = parse_instance(record)
    assert [instance.describe_state(NOW + timedelta(seconds=s)) for s in (0, 90)] == ["disabled for 90 s", "active"]
    assert parse_instance({**record, "state": "gone"}).describe_state(NOW) == "gone"


def test_an_instance_is_active_by_its_state_or_by_the_platforms_own_flag() -> None:
    record = [{"instance_id": "a", "active": True}, {"instance_id": "b", "state": "gone"}, {"instance_id": "c"}]
    chute = parse_chute({"chute_id": "1", "name": "case", "instances": record})
    assert [one.state for one in chute.instances] == ["active", "gone", "starting"]
    assert chute.hot


def test_the_reason_of_an_end_keeps_its_lines_without_control_characters() -> None:
    instance = parse_instance(
        {"instance_id": "1", "ended_because": "it did not start:\texit code 1\nfirst\x1b[1m\r\n  last\n"}
    )
    assert instance.ended_because == "it did not start: exit code 1\nfirst [1m\n  last"
    assert parse_instance({"instance_id": "1", "ended_because": None}).ended_because == ""


@given(st.text())
def test_text_has_no_terminal_control_characters(text: str) -> None:
    assert all(character.isprintable() or character not in "\x1b\x07\x9b\r\n\x08" for character in clean_text(text))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d"), (-5, "0 s")]
)
def test_an_age_has_one_unit(seconds: float, expected: str) -> None:
    assert format_age(NOW - timedelta(seconds=seconds), NOW) == expected


def test_a_permission_bit_or_name_allows_publishing() -> None:
    assert parse_account({"username": "u", "permissions_bitmask": 1 << 11}, 11, "publish").may_publish
    assert parse_account({"username": "u", "permissions": ["publish"]}, 11, "publish").may_publish
    assert not parse_account({"username": "u", "permissions_bitmask": 1 << 10}, 11, "publish").may_publish
