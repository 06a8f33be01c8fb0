"""The account on this machine: configuration file, keys, wallets and registration."""
