"""The Chutes API: requests, look-ups, values and errors."""
