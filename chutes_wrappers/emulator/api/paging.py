"""Paging and filters of lists (SDK ``crud.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query


@dataclass(frozen=True, kw_only=True)
class Paging:
    """Query parameters of a list: the page (from 0), the items per page, and a part of the name to filter by."""

    page: Annotated[int, Query(ge=0)] = 0
    limit: Annotated[int, Query(ge=0, le=1000)] = 25  # 0 means the default, too
    name: str | None = None
    include_public: bool = False

    def is_match(self, name: str) -> bool:
        """Whether an item of this name passes the filter."""
        return self.name is None or self.name.lower() in name.lower()
