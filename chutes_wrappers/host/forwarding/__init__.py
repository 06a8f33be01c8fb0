"""The forwarder: the original API on this machine, which sends any client's requests to a deployed chute."""
