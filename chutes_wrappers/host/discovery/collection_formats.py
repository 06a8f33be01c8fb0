"""``collectionFormat`` of Swagger 2.0 in the styles of OpenAPI 3. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.routes import Style

# Style (None: the default of the place) and explode.
_COLLECTION_FORMATS: Mapping[str, tuple[Style | None, bool]] = {
    "csv": (None, False),
    "multi": (None, True),
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
}


def read_collection_format(node: Mapping[str, Any]) -> tuple[Style | None, bool, list[str]]:
    """Return style (None: the default), explode and notes for an array of Swagger 2.0; its default is csv."""
    collection_format = node.get("collectionFormat", "csv")
    if not isinstance(collection_format, str) or collection_format not in _COLLECTION_FORMATS:
        return None, False, [f"collectionFormat {str(collection_format)[:50]!r} is unknown: sent as csv"]
    items = node.get("items")
    has_lists = isinstance(items, Mapping) and items.get("type") == "array"
    return *_COLLECTION_FORMATS[collection_format], ["its items are lists: they are sent as JSON"] if has_lists else []
