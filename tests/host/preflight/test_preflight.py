from __future__ import annotations

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.preflight.preflight import check_not_refused

from .module_texts import cord, found


def test_all_refusals_are_said_at_once_each_with_its_fix() -> None:
    problems = found(concurrency=257, username="x", readme="r" * 20_000, cords=[cord(public_api_method="PUT")])
    assert len(problems) == 4
    with pytest.raises(ConfigurationError, match="Chutes would refuse this module") as caught:
        check_not_refused(problems, "/x/deploy_case.py")
    for problem in problems:
        assert problem.what in str(caught.value)
        assert problem.fix in str(caught.value)


def test_warnings_refuse_nothing() -> None:
    problems = found(cords=[cord(public_api_path="/docs")])
    assert len(problems) == 1
    check_not_refused(problems, "/x/deploy_case.py")
