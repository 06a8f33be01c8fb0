"""The documented entry points of the toolkit."""
