"""Serve the emulated platform until Ctrl-C, from any folder: ``python tools/emulator.py --help``."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    from chutes_wrappers import start

    start.emulator()
