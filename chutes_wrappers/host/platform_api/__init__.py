"""The client of the Chutes API: requests, lookups, values and errors."""
