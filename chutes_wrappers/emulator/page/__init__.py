"""The emulator's page: a chute's public routes to try, its instances, the calls, the log."""
