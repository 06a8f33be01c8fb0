#!/bin/sh
# Make paths writable for uid 1000: each PATH alone, and with --tree everything below it. Missing ones are created.
# Only the named files change their owner, so that no layer repeats a model beside them.
# usage: writable.sh [PATH | --tree PATH]…
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

open_parents() { # a vendor's /root may be closed to other users
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
    path=$(readlink -m "$1") # a link may point to a file that only exists on an instance
    case $path in
    /dev/* | /proc/*) ;; # a log that is linked to the standard output
    *)
        [ -e "$path" ] || mkdir -p "$path"
        open_parents "$1"
        open_parents "$path"
        chown $tree 1000:1000 "$path"
        chmod $tree u+rwX "$path"
        printf '%s\n' "$1" >>/opt/chutes-wrappers/writable # verification reads this list
        ;;
    esac
    tree=
    shift
done
