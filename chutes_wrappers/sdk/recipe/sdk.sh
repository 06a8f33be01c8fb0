#!/bin/sh
# System libraries, a Python of the SDK's own, and the SDK in a virtual environment; nothing of the vendor's is touched.
# usage: sdk.sh PYTHON_VERSION SDK_VERSION full|slim
set -eu
python_version=$1 sdk_version=$2 extent=$3
root=/opt/chutes-wrappers
venv=$root/venv

# The vendor's PATH may lack the system folders, and its Python settings must not reach ours.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV || true

say() { printf 'chutes-wrappers: %s\n' "$*"; }

manager=none
for candidate in apt-get dnf microdnf yum; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

refresh() {
    case $manager in
    apt-get) apt-get update -q ;;
    esac
}

available() { # PACKAGE
    case $manager in
    apt-get) apt-cache show "$1" >/dev/null 2>&1 ;;
    dnf | yum) "$manager" -q info "$1" >/dev/null 2>&1 ;;
    microdnf) microdnf repoquery "$1" 2>/dev/null | grep -q . ;;
    none) return 1 ;;
    esac
}

install() {
    case $manager in
    apt-get) apt-get install -q -y --no-install-recommends "$@" ;;
    dnf | yum | microdnf) "$manager" install -y --setopt=install_weak_deps=0 "$@" ;;
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
        apt-get) xargs apt-get purge -q -y </tmp/chutes-new ;;
        dnf | yum | microdnf) xargs "$manager" remove -y --noautoremove </tmp/chutes-new ;;
        esac
    fi
    rm -f "$1" /tmp/chutes-after /tmp/chutes-new
}

clean() {
    case $manager in
    apt-get)
        apt-get clean
        rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/apt /var/log/dpkg.log
        ;;
    dnf | yum | microdnf) "$manager" clean all ;;
    esac
}

system_packages() {
    command -v curl >/dev/null || install curl
    [ "$manager" = none ] && return
    install ca-certificates
    install_first clinfo
    install_first ocl-icd-libopencl1 ocl-icd
    install_first libclblast1 clblast
    install_first libopenmpi3 libopenmpi40 libopenmpi3t64 openmpi
    install_first libssl3 libssl3t64 openssl-libs
    if [ "$extent" = full ]; then
        install cmake git
        install_first opencl-headers
        install_first openmpi-bin openmpi
    fi
}

usable() { # PYTHON: can make virtual environments, is new enough, is no Conda (whose libraries crash the SDK's)
    "$1" - >/dev/null 2>&1 <<'PY'
import os, sys
import ensurepip, venv
sys.exit(sys.version_info < (3, 10) or os.path.exists(os.path.join(sys.base_prefix, "conda-meta")))
PY
}

find_python() { # NAME…: print the first usable one
    for name in "$@"; do
        for folder in /usr/bin /usr/local/bin; do
            if [ -x "$folder/$name" ] && usable "$folder/$name"; then
                echo "$folder/$name"
                return
            fi
        done
    done
    return 1
}

distribution_python() {
    find_python python3 && return
    case $manager in
    apt-get) install python3 python3-venv >&2 ;;
    *) install_first python3.12 python3.11 python3 >&2 ;;
    esac
    find_python python3 python3.12 python3.11 && return
    say "no Python >= 3.10 in this image or its distribution" >&2
    return 1
}

uv_python() { # through uv, whose Pythons come from its own download site
    bootstrap=$(distribution_python) || return 1
    "$bootstrap" -m venv /tmp/chutes-uv >&2
    /tmp/chutes-uv/bin/pip install -q uv >&2 || return 1
    UV_PYTHON_INSTALL_DIR=$root/python UV_HTTP_TIMEOUT=60 UV_HTTP_RETRIES=1 UV_NO_CACHE=1 \
        timeout 600 /tmp/chutes-uv/bin/uv python install "$python_version" >&2 || return 1
    UV_PYTHON_INSTALL_DIR=$root/python /tmp/chutes-uv/bin/uv python find --no-project --managed-python "$python_version"
}

choose_python() {
    find_python "python$python_version" && return
    if available "python$python_version" && { [ "$manager" != apt-get ] || available "python$python_version-venv"; }; then
        case $manager in
        apt-get) install "python$python_version" "python$python_version-venv" >&2 ;;
        *) install "python$python_version" >&2 ;;
        esac
        find_python "python$python_version" && return
    fi
    say "Python $python_version is not in this image or its distribution, trying uv" >&2
    uv_python && return
    rm -rf "$root/python"
    say "uv could not bring Python $python_version; the SDK gets the distribution's own" >&2
    distribution_python
}

compiler_for() { # PYTHON: what netifaces, which the SDK pulls in and which has no wheels, is compiled with
    header=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    case $manager in
    apt-get)
        command -v gcc >/dev/null && [ -e /usr/include/stdio.h ] || install gcc libc6-dev
        [ -e "$header" ] || install "python$version-dev"
        ;;
    dnf | yum | microdnf)
        command -v gcc >/dev/null || install gcc
        [ -e "$header" ] || install_first "python$version-devel" python3-devel
        ;;
    none) command -v gcc >/dev/null || say "no C compiler and no package manager: the SDK's netifaces may not install" ;;
    esac
}

refresh
system_packages
python=$(choose_python)
say "the SDK runs on $("$python" --version) ($python)"
"$python" -m venv "$venv"
installed_packages >/tmp/chutes-before
compiler_for "$python"
"$venv/bin/pip" install -q --no-compile "chutes==$sdk_version" uv
remove_since /tmp/chutes-before
clean

# Our package first, the seed's folders behind everything that the SDK needs.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "import sys; ours = '$root/lib'; ours in sys.path or sys.path.insert(0, ours)" /app /workspace /srv >"$site/chutes_wrappers.pth"
mkdir -p "$root/lib"
chown -R 1000:1000 "$venv"
rm -rf /tmp/chutes-uv /root/.cache/uv
