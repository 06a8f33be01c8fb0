# shellcheck shell=sh
# Functions for the distribution's package manager; sourced by sdk.sh.

log() { printf 'chutes-wrappers: %s\n' "$*"; }

manager=none
for candidate in apt-get dnf microdnf yum; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

problems=$(mktemp) # errors of package lists

refresh_lists() { # an error of a vendor's own source matters only if a package is missing later
    [ "$manager" = apt-get ] || return 0
    apt-get update -q 2>"$problems.all" || log "a package list cannot be read; continuing with the others"
    cat "$problems.all" >&2
    sed -n -e '/^E: /p' -e '/^W: Failed to fetch /p' "$problems.all" >>"$problems"
    rm "$problems.all"
}

fail_missing() { # PACKAGE…: fail, with the possible reason
    log "cannot be installed: $*"
    sed 's/^/chutes-wrappers: a package list cannot be read: /' "$problems"
    return 1
}

is_available() { # PACKAGE
    case $manager in
    # apt-cache also knows names that other packages only refer to, which cannot be installed.
    apt-get) apt-cache show "$1" 2>/dev/null | grep -q '^Package:' ;;
    dnf | yum) "$manager" -q info "$1" >/dev/null 2>&1 ;;
    microdnf) microdnf repoquery "$1" 2>/dev/null | grep -q . ;;
    none) return 1 ;;
    esac
}

install() {
    case $manager in
    apt-get) apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" || fail_missing "$@" ;;
    dnf | yum | microdnf) "$manager" install -y --setopt=install_weak_deps=0 "$@" || fail_missing "$@" ;;
    none)
        log "this image has no package manager, and these packages are missing: $*"
        return 1
        ;;
    esac
}

install_first() { # NAME…: install the first name of one library that the distribution knows
    for name in "$@"; do
        if is_available "$name"; then
            install "$name"
            return
        fi
    done
    # If a list is missing, it is unknown what the distribution has.
    [ ! -s "$problems" ] || fail_missing "$1" || return
    log "not in this distribution, left out: $1"
}

list_installed() {
    case $manager in
    apt-get) dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^ii  *//p' | sort ;;
    dnf | yum | microdnf) rpm -qa --qf '%{NAME}\n' | sort -u ;;
    none) : ;;
    esac
}

remove_since() { # FILE: remove exactly the packages that are not in this list; autoremove might remove the vendor's own
    list_installed >/tmp/chutes-after
    comm -13 "$1" /tmp/chutes-after >/tmp/chutes-new
    if [ -s /tmp/chutes-new ]; then
        case $manager in
        apt-get) xargs apt-get purge -q -y -o Dpkg::Use-Pty=0 </tmp/chutes-new ;;
        dnf | yum | microdnf) xargs "$manager" remove -y --noautoremove </tmp/chutes-new ;;
        esac
    fi
    rm -f "$1" /tmp/chutes-after /tmp/chutes-new
}

clean() {
    rm -f "$problems"
    case $manager in
    apt-get)
        apt-get clean
        rm -f /etc/apt/sources.list.d/chutes-debian-12.list /etc/apt/preferences.d/chutes-debian-12
        rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/apt /var/log/dpkg.log
        ;;
    dnf | yum | microdnf) "$manager" clean all ;;
    esac
}
