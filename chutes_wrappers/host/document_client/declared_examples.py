"""Examples that stand beside a schema: ``example`` and ``examples`` of parameters, media types and their components. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.host.document_client.document_nodes import Nodes, get_mapping

_MAX_EXAMPLES = 5


def list_examples(nodes: Nodes, node: Mapping[str, Any]) -> list[Any]:
    """Return the values of ``example`` or ``examples``, at most five. Named examples may be references.

    OpenAPI 3.2 says them as ``dataValue``, or as the text ``serializedValue``. A value that is only elsewhere
    (``externalValue``) is left out.
    """
    if "example" in node:
        return [node["example"]]
    objects = [nodes.resolve(each) for each in get_mapping(node, "examples").values()]
    values = [each[key] for each in objects for key in ("dataValue", "value", "serializedValue") if key in each]
    plain = node.get("examples") if isinstance(node.get("examples"), list) else []
    extension = [node[key] for key in ("x-example",) if key in node]
    extension += [*get_mapping(node, "x-examples").values()]
    return [*values, *(plain or []), *extension][:_MAX_EXAMPLES]
