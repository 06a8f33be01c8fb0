"""The commands of ``deploy.sh`` as they are declared: their words, their flags, what the menu asks."""
