#!/usr/bin/env bash
# Run every check: style, types, shell scripts, fast tests, those of the SDK under its next release as well, then those that
# install packages and those that need a Docker engine. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./setup.sh --yes --dev
export PATH="$PWD/.venv/bin:$PATH"
if [ $# -gt 0 ]; then
    exec pytest "$@"
fi
fast="not docker and not packages"

# In an environment of its own; `tests/test_layers.py` sees to it that no test of the SDK is left out.
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
    PATH="$next/bin:$PATH" "$next/bin/python" -m pytest -n logical --dist loadfile -m "$fast" \
        tests/core tests/sdk tests/runtime tests/emulator tests/host \
        tests/cli/test_remote_deployment.py tests/cli/test_wizard.py
}

ruff check .
ruff format --check .
mypy
git ls-files '*.sh' .ci/run | xargs shellcheck
pytest -n logical --dist loadfile -m "$fast" # each file's fixtures are made once
under_the_next_sdk
pytest -m packages
pytest -m docker
