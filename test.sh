#!/usr/bin/env bash
# Run every check and the tests of CI; --all adds the exhaustive tests. Other arguments go to pytest: ./test.sh tests/core -k manifest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./setup.sh --yes --dev
export PATH="$PWD/.venv/bin:$PATH"
unset PYTHONDONTWRITEBYTECODE # compiling takes half of the collection, and much of the start of each command
tier="and not exhaustive"
if [ "${1:-}" = --all ]; then
    shift
    tier="" HYPOTHESIS_PROFILE=all && export HYPOTHESIS_PROFILE
fi
[ $# -eq 0 ] || exec pytest "$@"
reports=$(mktemp -d) # the JUnit report of each stage; the summary is also printed after a failure
trap 'jobs -pr | xargs -r kill 2>/dev/null || true; wait; python tests/stages.py "$reports"; rm -rf "$reports"' EXIT
processes=$(python -c 'import os; print(4 * os.cpu_count())') # the tests spend half of their time waiting
fast=(-n "$processes" --dist worksteal -m "not docker and not packages $tier" --ignore=tests/docker --ignore=tests/packages)
# Tests that run the SDK or use its libraries. `tests/test_layers.py` checks that no test that imports the SDK is missing.
sdk=(
    tests/core tests/sdk tests/runtime tests/emulator/test_sdk_cli.py tests/emulator/test_conformance_calls.py
    tests/emulator/test_conformance_cords.py tests/emulator/test_conformance_failures.py tests/emulator/test_gateway_cords.py
    tests/emulator/test_runner.py tests/emulator/test_host_launcher.py tests/emulator/test_builds.py
    tests/emulator/test_signatures.py tests/emulator/api/test_chute_routes.py tests/emulator/api/test_image_routes.py
    tests/host/preflight tests/host/modules/test_module_facts.py tests/host/modules/test_definition.py tests/host/discovery/test_random_specifications.py
    tests/host/forwarding/test_fidelity.py tests/cli/test_remote_deployment.py tests/cli/setup/test_wizard.py
)

ruff check .
ruff format --check .
pytest --collect-only -q >/dev/null 2>&1 & # compiles the tests once, not once in each process; it reports nothing
mypy
wait
git ls-files '*.sh' .ci/run | xargs shellcheck
pytest "${fast[@]}" --junitxml="$reports/1-fast.xml"
next=$(tests/next_environment.sh)
PATH="$next:$PATH" "$next/python" -m pytest "${fast[@]}" --junitxml="$reports/2-next-sdk.xml" "${sdk[@]}"
pytest -n logical -m "packages $tier" tests/packages --junitxml="$reports/3-packages.xml"
pytest -n logical --maxprocesses 4 -m "docker $tier" tests/docker --junitxml="$reports/4-docker.xml"
