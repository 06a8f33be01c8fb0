"""The registration token of the tests' emulators."""

from __future__ import annotations

# The SDK's `chutes register` sends this one to an API that is not the platform's own (SDK entrypoint/register.py).
TOKEN = "replaceme"
