"""The table of features in the docs: ``python -m tests.conformance.feature_table`` writes it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tests.conformance.body_features import BODIES
from tests.conformance.features import Feature
from tests.conformance.operation_features import OPERATIONS
from tests.conformance.parameter_features import PARAMETERS
from tests.conformance.swagger_features import SWAGGER

PATH = Path(__file__).resolve().parents[2] / "docs" / "openapi-features.md"
_ORDER = (
    "Operation",
    "Server",
    "Reference",
    "in: path",
    "in: query",
    "in: querystring",
    "in: header",
    "in: cookie",
    "Request body",
    "Urlencoded body",
    "Multipart body",
    "Security",
    "Swagger 2.0",
)
FEATURES = tuple(sorted((*PARAMETERS, *BODIES, *OPERATIONS, *SWAGGER), key=lambda feature: _ORDER.index(feature.group)))
_HEAD = """# OpenAPI: what arrives at the service

Each row is a test of `tests/conformance`. It has a small document, and a service that compares the request with what the
specification says. Gateway: a call of the chute. Forwarder: a client's request through `--forward` without the tunnel, which
carries every request. Direct: the client that makes the direct calls of `--emulate --check`.

- sent: the request arrives as the specification says
- listed: discovery shows by name what is not sent
- refused: the caller gets a 4xx with the reason; of a client's request, that only the tunnel carries it
- n/a: no such request exists

`python -m tests.conformance.feature_table` writes this file.
"""


def build_table() -> str:
    """Return the text of the file."""
    groups = groupby(FEATURES, key=lambda feature: feature.group)
    return "\n".join([_HEAD, *(_build_group(name, [*features]) for name, features in groups)])


def _build_group(name: str, features: list[Feature]) -> str:
    head = [
        f"## {name}",
        "",
        "| feature | versions | gateway | forwarder | direct | limit |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(_build_row, features), ""])


def _build_row(feature: Feature) -> str:
    if feature.request is None:
        cells = ["listed", "refused", "n/a"] if feature.listed else ["refused", "n/a", "n/a"]
    else:
        cells = ["sent, listed" if feature.listed else "sent", "sent", "sent"]
    return (
        "| " + " | ".join([feature.name.replace("|", "\\|"), ", ".join(feature.versions), *cells, feature.limit]) + " |"
    )


if __name__ == "__main__":
    PATH.write_text(build_table())
