"""The platform's API, one module for each resource."""
