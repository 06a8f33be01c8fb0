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
    path=$(readlink -m "$1") # a link may lead to what an instance makes only when it runs
    case $path in
    /dev/* | /proc/*) ;; # a log that is linked to the standard output
    *)
        [ -e "$path" ] || mkdir -p "$path"
        open_parents "$1"
        open_parents "$path"
        chown $tree 1000:1000 "$path"
        chmod $tree u+rwX "$path"
        printf '%s\n' "$1" >>/opt/chutes-wrappers/writable # what verification asks for
        ;;
    esac
    tree=
    shift
done
