"""Every route called once through the platform and once at the service itself, and what the difference means."""
