"""The emulated platform on this machine: API, image builds, instances, and calls to chutes."""
