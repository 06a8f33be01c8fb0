"""The parity check: each route called through the emulator and directly at the service."""
