"""Checks on the user's machine, before a build, for what the platform would reject or what would fail there."""
