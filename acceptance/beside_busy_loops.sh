#!/usr/bin/env bash
# Run the fast tests twice next to two busy loops with the same priority. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PATH="$PWD/.venv/bin:$PATH"
processes=$(python -c 'import os; print(2 * os.cpu_count())') # as test.sh
loops=()
trap 'kill "${loops[@]}"' EXIT
for _ in 1 2; do
    bash -c 'while :; do :; done' &
    loops+=($!)
done
for _ in 1 2; do
    pytest -n "$processes" --dist worksteal -m "not docker and not packages and not exhaustive" "$@"
done
