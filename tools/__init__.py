"""The documented doors to the toolkit."""
