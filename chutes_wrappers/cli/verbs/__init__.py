"""The declarations of the ``deploy.sh`` commands: help texts, flags, and questions of the menu."""
