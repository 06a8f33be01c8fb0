"""Errors, routes, manifests and platform rules, shared by host and instance. Standard library and pydantic only."""
