#!/bin/sh
# User chutes: uid and gid 1000, found first for that uid even where a vendor's user has it too.
# The files are edited directly: slim images lack useradd, and useradd would put a second uid 1000 behind the first.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

put_second() { # FILE LINE: LINE behind the first line (root's), without another entry of the same name
    name=${2%%:*}
    [ -e "$1" ] || : >"$1"
    written=
    # Without grep or tail, which an image may lack; the last line may have no end.
    while IFS= read -r line || [ -n "$line" ]; do
        [ "${line%%:*}" = "$name" ] || printf '%s\n' "$line"
        [ -n "$written" ] || printf '%s\n' "$2"
        written=yes
    done <"$1" >"$1.chutes"
    [ -n "$written" ] || printf '%s\n' "$2" >"$1.chutes"
    cat "$1.chutes" >"$1"
    rm "$1.chutes"
}

put_second /etc/passwd 'chutes:x:1000:1000:Chutes:/home/chutes:/bin/sh'
put_second /etc/group 'chutes:x:1000:'
if [ -e /etc/shadow ]; then
    put_second /etc/shadow 'chutes:!:19000::::::'
fi
mkdir -p /home/chutes /app
# A vendor's own user chutes may have had another uid; where it had not, a layer would only repeat its files.
[ "$(stat -c %u /home/chutes)" = 1000 ] || chown -R 1000:1000 /home/chutes
chown 1000:1000 /app
