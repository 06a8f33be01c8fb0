# shellcheck shell=sh
# Paths that must not become writable; sourced by writable.sh. core/writable_paths.py has the same two lists.

system_folders='/ /boot /etc /lib /lib32 /lib64 /libx32 /opt /root /usr
/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /usr/lib /usr/lib32 /usr/lib64 /usr/libx32
/usr/libexec /usr/local /usr/local/bin /usr/local/lib /usr/local/sbin'
system_trees='/bin /dev /proc /sbin /sys /usr/bin /usr/sbin
/etc/group /etc/gshadow /etc/passwd /etc/shadow /etc/pam.d /etc/sudoers /etc/sudoers.d
/etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /etc/ld.so.preload
/etc/bytecode.manifest /etc/chutesfs.index /usr/local/lib/chutes-aegis.so /opt/chutes-wrappers'

resolve_links() { # PATH…: print each, and what it leads to in this image
    for path in "$@"; do
        printf '%s\n' "$path"
        readlink -m "$path"
    done
}

# A line is one path: a link of the image may lead to a name with spaces.
# shellcheck disable=SC2086 # both are lists of words
resolved_folders=$(resolve_links $system_folders) resolved_trees=$(resolve_links $system_trees)

is_system_path() { # PATH, without links: whether it is, or contains, what belongs to the system
    while IFS= read -r system; do
        case $system/ in "${1%/}"/*) return 0 ;; esac
    done <<FOLDERS
$resolved_folders
$resolved_trees
FOLDERS
    while IFS= read -r system; do
        case $1 in "$system"/*) return 0 ;; esac
    done <<TREES
$resolved_trees
TREES
    return 1
}
