"""The platform's API, one file a resource."""
