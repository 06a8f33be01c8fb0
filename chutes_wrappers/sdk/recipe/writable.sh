#!/bin/sh
# Make paths writable for uid 1000: each PATH alone, and with --tree everything below it. Missing ones are created.
# Only the named files change their owner, so that no layer repeats a model beside them. A path that leads to the system is
# refused; with --optional it becomes readable.
# usage: writable.sh [[--tree | --optional] PATH]…
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# shellcheck source=system_paths.sh
. "$(dirname "$0")/system_paths.sh"

open_parents() { # a vendor's /root may be closed to other users
    parent=$(dirname "$1")
    while [ "$parent" != / ] && [ "$parent" != . ]; do
        [ ! -d "$parent" ] || chmod o+x "$parent"
        parent=$(dirname "$parent")
    done
}

refuse() { # PATH TARGET
    printf 'chutes-wrappers: %s cannot be made writable: it leads to %s, which belongs to the system\n' "$1" "$2" >&2
    if [ "$option" != --optional ]; then
        printf 'chutes-wrappers: name the folder that the service writes to in writable_paths=\n' >&2
        exit 1
    fi
    [ ! -d "$2" ] || chmod o+rx "$2" || true # a service may start in a vendor's closed /root, and import from there
}

make_writable() { # PATH TARGET
    [ -e "$2" ] || mkdir -p "$2"
    open_parents "$1"
    open_parents "$2"
    # Links inside a tree are not followed.
    chown -h $recursive 1000:1000 "$2"
    chmod $recursive u+rwX "$2"
    printf '%s\n' "$1" >>/opt/chutes-wrappers/writable # verification reads this list
}

while [ $# -gt 0 ]; do
    option='' recursive=''
    case $1 in
    --tree) option=--tree recursive=-R ;;
    --optional) option=--optional ;;
    esac
    [ -z "$option" ] || shift
    path=$(readlink -m "$1") # a link may point to a file that only exists on an instance
    case $path in
    /dev/* | /proc/*) ;; # a log that is linked to the standard output
    *) if is_system_path "$path"; then refuse "$1" "$path"; else make_writable "$1" "$path"; fi ;;
    esac
    shift
done
