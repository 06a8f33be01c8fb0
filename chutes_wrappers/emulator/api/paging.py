"""Which part of a list is wanted (SDK ``crud.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query


@dataclass(frozen=True, kw_only=True)
class Paging:
    """The page, which counts from 0, the items on a page, and a part of the name that items must have."""

    page: Annotated[int, Query(ge=0)] = 0
    limit: Annotated[int, Query(ge=1, le=1000)] = 25
    name: str | None = None
    include_public: bool = False

    def is_match(self, name: str) -> bool:
        """Whether an item of this name is asked for."""
        return self.name is None or self.name.lower() in name.lower()
