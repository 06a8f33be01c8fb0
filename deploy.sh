#!/usr/bin/env bash
# Discover, build, run: ./deploy.sh --help lists the commands. Sets up the environment first if it is missing, outdated or of another folder.
[ -n "${BASH_VERSION:-}" ] || exec bash -- "$0" "$@" # for sh deploy.sh: the rest is bash
set -euo pipefail
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do # readlink -f is not available everywhere
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
root=$(CDPATH='' cd "$(dirname "$self")" && pwd)
venv=$root/.venv

# The stamp contains the folder in which the environment was created. Its scripts do too, and would run the files there.
if ! [ "$venv/.complete" -nt "$root/requirements.txt" ] || ! [ -x "$venv/bin/python" ] ||
    ! [ "$(<"$venv/.complete")" -ef "$venv" ]; then
    [ -z "${_DEPLOY_SH_COMPLETE:-}" ] || exit 0 # no minute of set-up for a completion
    echo "The environment (.venv) is missing, outdated or of another folder: setting it up first." >&2
    "$root/setup.sh" --yes --no-account >&2
fi

# Remove empty and relative entries: with them, Python would load modules from the current folder during its start.
entries=${PYTHONPATH:+$PYTHONPATH:} absolute=
while [ -n "$entries" ]; do
    case $entries in /*) absolute=${absolute:+$absolute:}${entries%%:*} ;; esac
    entries=${entries#*:}
done
PYTHONPATH=$absolute exec "$venv/bin/python" "$root/chutes_wrappers/start.py" chutes_wrappers.cli.main:main "$@"
