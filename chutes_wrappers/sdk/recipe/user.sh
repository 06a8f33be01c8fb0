#!/bin/sh
# Create the user chutes with uid and gid 1000, as the first entry with that uid even if a vendor's user has it too.
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

insert_second /etc/passwd 'chutes:x:1000:1000:Chutes:/home/chutes:/bin/sh'
insert_second /etc/group 'chutes:x:1000:'
if [ -e /etc/shadow ]; then
    insert_second /etc/shadow 'chutes:!:19000::::::'
fi
mkdir -p /home/chutes /app
# A vendor's own user chutes may have had another uid. Otherwise nothing is changed: a layer would repeat the files.
[ "$(stat -c %u /home/chutes)" = 1000 ] || chown -R 1000:1000 /home/chutes
chown 1000:1000 /app
