"""Which tests one process of pytest-xdist runs together, because they share what is expensive to make."""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it ships without types

# A test of one Gradio, whose environment is made by the first of them; a test of one base image, which shares nothing.
_GROUP = re.compile(r"\bgradio\d\b|test_wrap\.py::.*")


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # for the same reason
    """Files, whose fixtures are made once; but smaller or larger groups where parameters say so. In the order of collection.

    The marker ``xdist_group`` cannot do it: pytest-xdist 3.8 does not see it under pytest 9.2.
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.partition("[")[2]
        match = _GROUP.search(parameters) or _GROUP.search(nodeid.partition("/docker/")[2])
        return match[0] if match else nodeid.partition("::")[0]
