#!/bin/sh
# Create the user chutes with uid and gid 1000, as the first entry with that uid even if a vendor's user has it too. Then
# prepare what the forge's stages need of it (PLATFORM.md, section 1): its membership in group root, and folders of that group.
# The files are edited directly: slim images lack useradd, and useradd would add a second uid 1000 after the first.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

insert_second() { # FILE LINE: insert LINE after the first line (root's), and remove other entries of the same name
    name=${2%%:*}
    [ -e "$1" ] || : >"$1"
    written=
    # Without grep or tail, which an image may lack; the last line may have no newline.
    while IFS= read -r line || [ -n "$line" ]; do
        [ "${line%%:*}" = "$name" ] || printf '%s\n' "$line"
        [ -n "$written" ] || printf '%s\n' "$2"
        written=yes
    done <"$1" >"$1.chutes"
    [ -n "$written" ] || printf '%s\n' "$2" >"$1.chutes"
    cat "$1.chutes" >"$1"
    rm "$1.chutes"
}

join_group_root() {
    has_root=
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        root:*)
            has_root=yes members=${line##*:}
            case ,$members, in
            *,chutes,*) ;;
            ,,) line=${line}chutes ;;
            *) line=$line,chutes ;;
            esac
            ;;
        esac
        printf '%s\n' "$line"
    done </etc/group >/etc/group.chutes
    [ -n "$has_root" ] || printf 'root:x:0:chutes\n' >>/etc/group.chutes
    cat /etc/group.chutes >/etc/group
    rm /etc/group.chutes
}

open_to_group_root() { # FOLDER: the forge makes it writable for its group
    # A link may lead to a folder that the vendor has deleted.
    if [ ! -d "$1" ] && ! mkdir -p "$(readlink -m "$1")"; then
        echo "chutes-wrappers: $1 is not a folder, which the platform's forge needs" >&2
        exit 1
    fi
    [ "$(stat -L -c %g "$1")" = 0 ] || chgrp 0 "$1"
}

insert_second /etc/passwd 'chutes:x:1000:1000:Chutes:/home/chutes:/bin/sh'
insert_second /etc/group 'chutes:x:1000:'
if [ -e /etc/shadow ]; then
    insert_second /etc/shadow 'chutes:!:19000::::::'
fi
join_group_root
for folder in /usr/local/lib /usr/local/bin /usr/local/share /usr/local/share/man; do
    open_to_group_root "$folder"
done
mkdir -p /home/chutes /app
# A vendor's own user chutes may have had another uid. Otherwise nothing is changed: a layer would repeat the files.
[ "$(stat -c %u /home/chutes)" = 1000 ] || chown -R 1000:1000 /home/chutes
chown 1000:1000 /app
