"""The original API on this machine: any client's HTTP request, carried to a deployed chute and back."""
