"""From an image to a deploy module."""
