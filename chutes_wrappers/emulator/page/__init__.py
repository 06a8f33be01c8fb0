"""The emulator's page: a form for each public route of a chute, its instances, the calls, the log."""
