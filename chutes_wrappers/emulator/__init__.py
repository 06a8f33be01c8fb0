"""The platform on this machine: its API, its builds, its instances, and the calls that go through it."""
