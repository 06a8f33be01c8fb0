"""The OpenAPI document of a service, built from its table of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .web import Route


def build_document(title: str, description: str, routes: Sequence[Route], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Build an OpenAPI 3.1 document of every route that has a description."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation:
            paths.setdefault(route.path, {})[route.method.lower()] = route.operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0.0", "description": description},
        "paths": paths,
        "components": {"schemas": dict(schemas)},
    }


def make_reference(name: str) -> dict[str, str]:
    """Make a ``$ref`` to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def describe_json_body(name: str, example: Any) -> dict[str, Any]:
    """Describe a required JSON request body."""
    return {"required": True, "content": _describe_json_content(name, example)}


def describe_json_response(name: str, example: Any, description: str) -> dict[str, Any]:
    """Describe a JSON response."""
    return {"description": description, "content": _describe_json_content(name, example)}


def _describe_json_content(name: str, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": make_reference(name), "example": example}}
