# shellcheck shell=sh disable=SC2154
# Selection of the SDK's Python, and the compiler for it; sourced by sdk.sh, which sets $recipe, $root, $venv and $python_version,
# after packages.sh, which sets $manager.

is_usable() { # PYTHON: can create virtual environments, and the SDK's libraries do not crash on it (3.13, Conda)
    "$1" - >/dev/null 2>&1 <<'PY'
import os, sys
import ensurepip, venv
fits = (3, 10) <= sys.version_info[:2] <= (3, 12)
sys.exit(not fits or os.path.exists(os.path.join(sys.base_prefix, "conda-meta")))
PY
}

find_python() { # NAME…: print the first usable one
    for name in "$@"; do
        for folder in /usr/bin /usr/local/bin; do
            if [ -x "$folder/$name" ] && is_usable "$folder/$name"; then
                echo "$folder/$name"
                return
            fi
        done
    done
    return 1
}

install_distribution_python() { # the distribution's default, whatever its version
    case $manager in
    apt-get) install python3 python3-venv >&2 ;;
    *) install_first python3.12 python3.11 python3 >&2 ;;
    esac
}

install_programs() { # PIP [OPTION]…: install pip and uv in the versions of programs.txt, after a check of their hashes
    "$@" install -q --no-compile --no-deps --require-hashes -r "$recipe/programs.txt" >&2
}

get_helper() { # PROGRAM: print the path of pip or uv in a temporary environment of any Python that can create one
    if [ ! -x "/tmp/chutes-helper/bin/$1" ]; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || install_distribution_python
        python3 -m venv /tmp/chutes-helper >&2 && install_programs /tmp/chutes-helper/bin/pip || return 1
    fi
    echo "/tmp/chutes-helper/bin/$1"
}

install_uv_python() { # with uv, which downloads Python and verifies the hash that it has for it
    uv=$(get_helper uv) || return 1
    UV_PYTHON_INSTALL_DIR=$root/python UV_HTTP_TIMEOUT=60 UV_HTTP_RETRIES=1 UV_NO_CACHE=1 \
        timeout 600 "$uv" python install "$python_version" >&2 || return 1
    UV_PYTHON_INSTALL_DIR=$root/python "$uv" python find --no-project --managed-python "$python_version"
}

find_distribution_python() {
    find_python python3 python3.12 python3.11 python3.10 && return
    install_distribution_python
    find_python python3 python3.12 python3.11 python3.10
}

install_debian_12_python() { # a newer Debian has only a Python that is too new; its archive still has that of Debian 12
    [ "$manager" = apt-get ] && grep -qx 'ID=debian' /etc/os-release || return 1
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's own placeholders, not the shell's
    archive=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | sed -n "s/^$codename //p" | head -n 1)
    [ -n "$archive" ] || return 1
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ ! -e "$keyring" ] || signed_by="[signed-by=$keyring] "
    echo "deb ${signed_by:-}$archive bookworm main" >/etc/apt/sources.list.d/chutes-debian-12.list
    printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 1\n' >/etc/apt/preferences.d/chutes-debian-12
    refresh_lists >&2
    # Without python3.11-venv, which needs Debian 12's python3; pip is installed separately.
    install python3.11 >&2 && echo /usr/bin/python3.11
}

choose_python() {
    find_python "python$python_version" && return
    if is_available "python$python_version" && { [ "$manager" != apt-get ] || is_available "python$python_version-venv"; }; then
        case $manager in
        apt-get) install "python$python_version" "python$python_version-venv" >&2 ;;
        *) install "python$python_version" >&2 ;;
        esac
        find_python "python$python_version" && return
    fi
    log "Python $python_version is not in this image or its distribution, trying uv" >&2
    install_uv_python && return
    rm -rf "$root/python"
    log "uv could not install Python $python_version; using the distribution's own" >&2
    find_distribution_python && return
    log "the SDK does not run on the distribution's own (it needs 3.10 to 3.12), trying Debian 12's" >&2
    install_debian_12_python && return
    log "there is no Python 3.10 to 3.12 for this image" >&2
    return 1
}

make_environment() { # PYTHON
    if "$1" -c 'import ensurepip' 2>/dev/null; then
        "$1" -m venv "$venv"
    else
        "$1" -m venv --without-pip "$venv"
        install_programs "$(get_helper pip)" --python "$venv/bin/python"
    fi
}

install_compiler() { # PYTHON: for netifaces, which the SDK depends on and which has no wheels
    header=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    case $manager in
    apt-get)
        command -v gcc >/dev/null || install gcc
        [ -e /usr/include/stdio.h ] || install libc6-dev
        [ -e "$header" ] || install "libpython$version-dev"
        ;;
    dnf | yum | microdnf)
        command -v gcc >/dev/null || install gcc
        [ -e "$header" ] || install_first "python$version-devel" python3-devel
        ;;
    none) command -v gcc >/dev/null || log "no C compiler and no package manager: the SDK's netifaces may not install" ;;
    esac
}
