"""Find the HTTP routes of a service and write its route manifest: ``python tools/discover_routes.py --help``."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    from chutes_wrappers import start

    start.discover()
