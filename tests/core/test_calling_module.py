from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chutes_wrappers.core.calling_module import find_caller_globals


def call_through(*names: str) -> Mapping[str, Any]:
    """What ``find_caller_globals`` finds when modules of these names call each other, the last of them it."""
    function: Any = find_caller_globals
    for place, name in reversed([*enumerate(names)]):
        space = {"__name__": name, "place": place, "function": function}
        exec("def call(): return function()", space)
        function = space["call"]
    result: Mapping[str, Any] = function()
    return result


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["deploy_x"], 0),
        (["deploy_x", "tools.chute_wrappers", "chutes_wrappers.sdk.image"], 0),
        (["outer", "deploy_x", "chutes_wrappers.sdk.image", "chutes_wrappers.core.calling_module"], 1),
        (["chutes_wrappers.cli.main", "deploy_x", "chutes_wrappers.sdk.image"], 1),
        (["deploy_x", "my_helpers", "tools.chute_wrappers"], 1),
        (["deploy_x", "tools.of_my_own"], 1),
    ],
)
def test_the_nearest_module_that_is_not_ours_is_found(names: list[str], place: int) -> None:
    assert call_through(*names)["place"] == place
