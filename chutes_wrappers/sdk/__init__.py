"""Conversion of a manifest into SDK objects: an image and cords."""
