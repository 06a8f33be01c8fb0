"""Creation of a deploy module from an image."""
