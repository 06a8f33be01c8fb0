"""Container engine: a protocol, and its implementation with Docker."""
