#!/bin/sh
# Make paths writable for uid 1000: each PATH alone, and with --tree everything below it. Missing ones are made.
# Only the named files change hands, so that no layer repeats a model that lies beside them.
# usage: writable.sh [PATH | --tree PATH]…
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

open_parents() { # a vendor's /root is closed to everybody else
    parent=$(dirname "$1")
    while [ "$parent" != / ] && [ "$parent" != . ]; do
        [ ! -d "$parent" ] || chmod o+x "$parent"
        parent=$(dirname "$parent")
    done
}

tree=
while [ $# -gt 0 ]; do
    if [ "$1" = --tree ]; then
        tree=-R
        shift
    fi
    [ -e "$1" ] || mkdir -p "$1"
    open_parents "$1"
    chown $tree 1000:1000 "$1"
    chmod $tree u+rwX "$1"
    tree=
    shift
done
