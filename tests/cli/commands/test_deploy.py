"""When a deployment succeeded: the API's chute afterwards is compared with the module's definition."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.cli.commands.deploy import check_deployed
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.objects import ChuteInfo, parse_chute

CORD = {
    "path": "/cw_post/a",
    "public_api_path": "/a",
    "public_api_method": "POST",
    "method": "PUT",
    "stream": False,
    "passthrough": True,
    "function": "a",
}


def make_chute(*cords: dict[str, Any], version: str = "2") -> ChuteInfo:
    return parse_chute({"chute_id": "1", "name": "case", "version": version, "cords": list(cords)})


def test_a_new_version_with_the_same_cords_is_deployed() -> None:
    check_deployed(make_chute(CORD), None, [CORD], "")
    check_deployed(make_chute(CORD), make_chute(CORD, version="1"), [CORD], "")


def test_the_same_version_counts_as_deployed_only_when_the_platform_reports_it() -> None:
    check_deployed(
        make_chute(CORD), make_chute(CORD), [CORD], "Chute with name=case, version=2 and public=False already exists"
    )
    with pytest.raises(WrapperError, match="still at version 2") as caught:
        check_deployed(make_chute(CORD), make_chute(CORD), [CORD], "Insufficient balance")
    assert caught.value.evidence == "Insufficient balance"


def test_a_chute_that_does_not_exist_was_not_accepted() -> None:
    with pytest.raises(WrapperError, match="did not accept"):
        check_deployed(None, None, [CORD], "")


@pytest.mark.parametrize("different", [{"public_api_path": "/b"}, {"stream": True}, {"method": "POST"}])
def test_other_cords_are_named(different: dict[str, Any]) -> None:
    with pytest.raises(WrapperError, match="differ from those of the module") as caught:
        check_deployed(make_chute(CORD), None, [{**CORD, **different}], "")
    assert "/a" in str(caught.value.evidence)
    with pytest.raises(WrapperError, match="differ from those of the module"):
        check_deployed(make_chute(), None, [CORD], "")


def test_cord_fields_missing_in_the_api_are_not_compared() -> None:
    few = {name: CORD[name] for name in ("path", "public_api_path")}
    check_deployed(make_chute(few), None, [CORD], "")


def test_a_limit_of_the_day_has_its_own_next_step() -> None:
    with pytest.raises(WrapperError, match="did not accept") as caught:
        check_deployed(None, None, [CORD], 'Unexpected error: {"detail": "You may only create 24 chutes per day"}')
    assert "24 creations, updates and deletions" in str(caught.value.next_step)
