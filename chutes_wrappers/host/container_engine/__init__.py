"""Docker: one protocol, and the engine behind it."""
