#!/bin/sh
# Install system libraries, a Python for the SDK, and the SDK in a virtual environment. Nothing of the vendor's is changed.
# usage: sdk.sh PYTHON_VERSION SDK_VERSION full|slim
set -eu
python_version=$1 sdk_version=$2 extent=$3
root=/opt/chutes-wrappers
venv=$root/venv

# The vendor's PATH may lack the system folders.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

recipe=$(dirname "$0")
# shellcheck source=settings.sh
. "$recipe/settings.sh"
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# shellcheck source=packages.sh
. "$recipe/packages.sh"
# shellcheck source=python.sh
. "$recipe/python.sh"

install_system_packages() {
    command -v curl >/dev/null || install curl
    command -v find >/dev/null || install findutils # for the forge, which removes the bytecode of the image
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

refresh_lists
install_system_packages
python=$(choose_python)
log "the SDK runs on $("$python" --version) ($python)"
make_environment "$python"
list_installed >/tmp/chutes-before
case $sdk_version in
0.[0-5].* | 0.6.[0-9]) install_compiler "$python" ;; # later versions depend on netifaces-plus, which has wheels
esac
install_programs "$venv/bin/pip" # the platform also needs uv on PATH (PLATFORM.md, section 1)
# The version that the forge installs: its pip then finds everything, and needs no compiler.
"$venv/bin/pip" install -q --no-compile "chutes==$sdk_version"
remove_since /tmp/chutes-before
clean

# Our package comes first; the last three folders come after everything that the SDK needs.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "import sys; ours = '$root/lib'; ours in sys.path or sys.path.insert(0, ours)" /app /workspace /srv >"$site/chutes_wrappers.pth"
mkdir -p "$root/lib"
chown -R 1000:1000 "$venv"
rm -rf /tmp/chutes-helper /root/.cache/uv
