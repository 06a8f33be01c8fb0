"""What both sides know: errors, routes, manifests, platform rules. Standard library and pydantic only."""
