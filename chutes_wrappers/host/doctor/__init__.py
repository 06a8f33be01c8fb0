"""The checks of ``--doctor``."""
