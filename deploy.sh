#!/usr/bin/env bash
# Discover, build, run: ./deploy.sh --help says how. Makes its environment first when it is missing or out of date.
set -euo pipefail
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do # readlink -f is not everywhere
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
root=$(cd "$(dirname "$self")" && pwd)

if ! [ "$root/.venv/.complete" -nt "$root/requirements.txt" ]; then
    [ -z "${_DEPLOY_SH_COMPLETE:-}" ] || exit 0 # nobody waits a minute for a Tab
    echo "The environment (.venv) is missing or older than requirements.txt: setting it up first." >&2
    "$root/setup.sh" --yes --no-account >&2
fi
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$root/.venv/bin/python" -m chutes_wrappers.cli.main "$@"
