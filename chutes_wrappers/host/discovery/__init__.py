"""Find a service's specification, and read it."""
