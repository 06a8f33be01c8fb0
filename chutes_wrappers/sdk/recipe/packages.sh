# shellcheck shell=sh
# The distribution's package manager behind a few functions; sourced by sdk.sh.

say() { printf 'chutes-wrappers: %s\n' "$*"; }

manager=none
for candidate in apt-get dnf microdnf yum; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

problems=$(mktemp) # why package lists cannot be read

refresh() { # a vendor's own source may have expired: that matters only when something is missing then
    [ "$manager" = apt-get ] || return 0
    apt-get update -q 2>"$problems.all" || say "a package list cannot be read; going on with the others"
    cat "$problems.all" >&2
    sed -n -e '/^E: /p' -e '/^W: Failed to fetch /p' "$problems.all" >>"$problems"
    rm "$problems.all"
}

lacking() { # PACKAGE…: fails, with what may be the reason
    say "cannot be installed: $*"
    sed 's/^/chutes-wrappers: a package list cannot be read: /' "$problems"
    return 1
}

available() { # PACKAGE
    case $manager in
    # A name that other packages only refer to is known, and cannot be installed.
    apt-get) apt-cache show "$1" 2>/dev/null | grep -q '^Package:' ;;
    dnf | yum) "$manager" -q info "$1" >/dev/null 2>&1 ;;
    microdnf) microdnf repoquery "$1" 2>/dev/null | grep -q . ;;
    none) return 1 ;;
    esac
}

install() {
    case $manager in
    apt-get) apt-get install -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" || lacking "$@" ;;
    dnf | yum | microdnf) "$manager" install -y --setopt=install_weak_deps=0 "$@" || lacking "$@" ;;
    none)
        say "this image has no package manager and lacks: $*"
        return 1
        ;;
    esac
}

install_first() { # the first of several names for one library that the distribution knows
    for name in "$@"; do
        if available "$name"; then
            install "$name"
            return
        fi
    done
    # Where a list is missing, nobody knows what the distribution has.
    [ ! -s "$problems" ] || lacking "$1" || return
    say "not in this distribution, left out: $1"
}

installed_packages() {
    case $manager in
    apt-get) dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^ii  *//p' | sort ;;
    dnf | yum | microdnf) rpm -qa --qf '%{NAME}\n' | sort -u ;;
    none) : ;;
    esac
}

remove_since() { # FILE: exactly the packages that are not in this list; autoremove might take the vendor's own
    installed_packages >/tmp/chutes-after
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
