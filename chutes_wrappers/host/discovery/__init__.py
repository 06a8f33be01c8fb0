"""Discovery: find a service's specification and read its routes."""
