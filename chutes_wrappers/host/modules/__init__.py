"""Deploy modules: their files, what they define, and loading them."""
