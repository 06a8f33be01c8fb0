from __future__ import annotations

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.preflight.preflight import check_not_rejected

from .module_texts import build_cord, check_module


def test_all_rejections_are_reported_together_each_with_its_fix() -> None:
    problems = check_module(
        concurrency=257, username="x", readme="r" * 20_000, cords=[build_cord(public_api_method="put")]
    )
    assert len(problems) == 4
    with pytest.raises(ConfigurationError, match="Chutes would reject this module") as caught:
        check_not_rejected(problems, "/x/deploy_case.py")
    for problem in problems:
        assert problem.what in str(caught.value)
        assert problem.fix in str(caught.value)


def test_warnings_do_not_raise() -> None:
    problems = check_module(cords=[build_cord(public_api_path="/docs")])
    assert len(problems) == 1
    check_not_rejected(problems, "/x/deploy_case.py")


def test_problems_are_in_the_order_of_the_api_with_those_of_ours_last() -> None:
    problems = check_module(
        code="import tools.chute_wrappers\nfrom __future__ import annotations\n",
        path="/x/Deploy.py",
        name="my glyph tee",
        tee=False,
        concurrency=-1,
        image={"name": "case", "tag": "1", "holds_toolkit": False, "env": []},
        cords=[
            build_cord(path="/a-b", public_api_path="/docs"),
            build_cord(function="b", path="/b", public_api_method="x"),
        ],
    )
    assert [problem.rule for problem in problems] == [
        "image-tag",
        "number-range",
        "subnet-name",
        "tee-name",
        "tee-required",
        "chute-name",
        "module-file",
        "cord-path",
        "public-method",
        "future-annotations",
        "toolkit-import",
        "shadowed-path",
    ]
