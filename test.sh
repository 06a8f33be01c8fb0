#!/usr/bin/env bash
# Run every check. Arguments go to pytest: ./test.sh tests/core -k manifest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./setup.sh --yes --dev
export PATH="$PWD/.venv/bin:$PATH"
[ $# -eq 0 ] || exec pytest "$@"
fast=(-n logical --dist loadfile -m "not docker and not packages") # each file's fixtures are made once

# The next SDK's own environment. `tests/test_layers.py` sees to it that no test of the SDK is left out.
under_the_next_sdk() {
    local next=$PWD/.venv-next
    if ! [ "$next/.complete" -nt requirements-next.txt ] || ! [ "$next/.complete" -nt .venv/.complete-dev ]; then
        rm -rf "$next"
        if command -v uv >/dev/null; then
            uv venv -q --python .venv/bin/python "$next"
            uv pip install -q --python "$next/bin/python" -r requirements-next.txt
        else
            python -m venv "$next"
            "$next/bin/python" -m pip install -q --disable-pip-version-check -r requirements-next.txt
        fi
        touch "$next/.complete"
    fi
    PATH="$next/bin:$PATH" "$next/bin/python" -m pytest "${fast[@]}" tests/core tests/sdk tests/runtime tests/emulator \
        tests/host tests/cli/test_remote_deployment.py tests/cli/test_wizard.py
}

ruff check .
ruff format --check .
mypy
git ls-files '*.sh' .ci/run | xargs shellcheck
pytest "${fast[@]}"
under_the_next_sdk
pytest -m packages
pytest -m docker
