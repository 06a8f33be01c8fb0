#!/usr/bin/env bash
# Make the environment of the SDK's next release, .venv-next, unless it is there; prints the folder of its programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

next=$PWD/.venv-next
if ! [ "$next/.complete" -nt requirements-next.txt ] || ! [ "$next/.complete" -nt .venv/.complete-dev ]; then
    rm -rf "$next"
    if command -v uv >/dev/null; then
        uv venv -q --python .venv/bin/python "$next"
        uv pip install -q --python "$next/bin/python" -r requirements-next.txt
    else
        .venv/bin/python -m venv --without-pip "$next"
        .venv/bin/python -m pip --python "$next/bin/python" install -q --disable-pip-version-check --no-compile -r requirements-next.txt
    fi >&2
    touch "$next/.complete"
fi
echo "$next/bin"
