#!/usr/bin/env bash
# Make the environment: find a Python that the SDK supports, and hand over to it. ./setup.sh --help says more.
set -euo pipefail
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do # readlink -f is not everywhere
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
cd "$(dirname "$self")"

python=
for candidate in "${CHUTES_WRAPPERS_PYTHON:-}" .venv/bin/python python3.12 python3.11 python3.13 python3.10 python3 python; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
        "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "✗ no Python 3.10 to 3.13 is on PATH" >&2
    echo "  Next: install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it in CHUTES_WRAPPERS_PYTHON" >&2
    exit 1
fi
exec "$python" chutes_wrappers/cli/bootstrap.py "$@"
