#!/usr/bin/env bash
# Set up the environment: find a Python that the SDK supports, and run it. ./setup.sh --help describes the flags.
[ -n "${BASH_VERSION:-}" ] || exec bash -- "$0" "$@" # for sh setup.sh: the rest is bash
set -euo pipefail
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do # readlink -f is not available everywhere
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
CDPATH='' cd "$(dirname "$self")"

fits() {
    command -v "$1" >/dev/null &&
        "$1" -I -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}
chosen=${CHUTES_WRAPPERS_PYTHON:-} previous=
for argument in "$@"; do
    [ "$previous" != --python ] || chosen=$argument
    case $argument in --python=*) chosen=${argument#*=} ;; esac
    previous=$argument
done
if [ -n "$chosen" ] && ! fits "$chosen"; then
    LC_ALL=C printf '✗ %q is not a Python 3.10 to 3.13\n' "$chosen" >&2 # %q: no control character of it reaches the terminal
    echo "  Next: set another in --python or CHUTES_WRAPPERS_PYTHON, or omit both to use the first supported one" >&2
    exit 2
fi
python=$chosen
for candidate in .venv/bin/python python3.12 python3.11 python3.13 python3.10 python3 python; do
    [ -z "$python" ] || break
    ! fits "$candidate" || python=$candidate
done
if [ -z "$python" ]; then
    echo "✗ no Python 3.10 to 3.13 is on PATH" >&2
    echo "  Next: install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it with --python" >&2
    exit 1
fi
exec "$python" -I chutes_wrappers/start.py chutes_wrappers.cli.setup.bootstrap:run "$@" # -I ignores PYTHONPATH, which is for other programs
