"""What the platform remembers, one file a kind."""
