"""Groups of tests for one process of pytest-xdist, because they share expensive fixtures."""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

# Tests of one Gradio version share an environment; a test of one base image shares nothing.
_GROUP = re.compile(r"\bgradio\d\b|test_wrap\.py::.*")


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # for the same reason
    """Groups by file, because fixtures are created once per file; parameters can define other groups. Keeps the collected order.

    The marker ``xdist_group`` does not work: pytest-xdist 3.8 does not detect it with pytest 9.2.
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.partition("[")[2]
        match = _GROUP.search(parameters) or _GROUP.search(nodeid.partition("/docker/")[2])
        return match[0] if match else nodeid.partition("::")[0]
