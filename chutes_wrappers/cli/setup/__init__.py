"""The commands of ``setup.sh``: the environment and the account."""
