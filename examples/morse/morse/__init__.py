"""Morse code as a service: text becomes sound on one port, sound becomes text on another. Standard library only."""
