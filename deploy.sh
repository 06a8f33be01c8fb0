#!/usr/bin/env bash
# Discover, build, run: ./deploy.sh --help says how. Makes its environment first when it is missing, out of date or not of this folder.
[ -n "${BASH_VERSION:-}" ] || exec bash -- "$0" "$@" # sh deploy.sh: what follows is bash
set -euo pipefail
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do # readlink -f is not everywhere
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
root=$(CDPATH='' cd "$(dirname "$self")" && pwd)
venv=$root/.venv

# The stamp names the folder that the environment was made in: its scripts do, too, and would run what is there now.
if ! [ "$venv/.complete" -nt "$root/requirements.txt" ] || ! [ -x "$venv/bin/python" ] ||
    ! [ "$(<"$venv/.complete")" -ef "$venv" ]; then
    [ -z "${_DEPLOY_SH_COMPLETE:-}" ] || exit 0 # nobody waits a minute for a Tab
    echo "The environment (.venv) is missing, out of date or not made in this folder: setting it up first." >&2
    "$root/setup.sh" --yes --no-account >&2
fi

# An entry that is empty or relative means the current folder, from which Python itself would load modules as it starts.
entries=${PYTHONPATH:+$PYTHONPATH:} absolute=
while [ -n "$entries" ]; do
    case $entries in /*) absolute=${absolute:+$absolute:}${entries%%:*} ;; esac
    entries=${entries#*:}
done
PYTHONPATH=$absolute exec "$venv/bin/python" "$root/chutes_wrappers/start.py" chutes_wrappers.cli.main:main "$@"
