#!/usr/bin/env bash
# Run every check: style, types, shell scripts, fast tests, then those that install packages and those that need a Docker
# engine. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./setup.sh --yes --dev
export PATH="$PWD/.venv/bin:$PATH"
if [ $# -gt 0 ]; then
    exec pytest "$@"
fi
ruff check .
ruff format --check .
mypy
git ls-files '*.sh' .ci/run | xargs shellcheck
pytest -n logical --dist loadfile -m "not docker and not packages" # each file's fixtures are made once
pytest -m packages
pytest -m docker
