"""Deploy modules: finding their files, reading their variables, and loading them."""
