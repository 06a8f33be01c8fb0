#!/bin/sh
# Let every program find CUDA's libraries that pip has installed (site-packages/nvidia/*/lib): list them for the dynamic
# linker. Only the packages' own Python code loads them by their path. PLATFORM.md, section 6.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# Read last, so that libraries of the system come first.
list=/etc/ld.so.conf.d/zz-chutes-wrappers-cuda.conf

log() { printf 'chutes-wrappers: %s\n' "$*"; }

find_library_folders() { # with our own Python: an image may lack find
    /opt/chutes-wrappers/venv/bin/python -I - <<'PY'
import os
import sys

for folder, names, _ in os.walk("/"):
    if folder in ("/proc", "/sys", "/dev", "/opt/chutes-wrappers"):
        names.clear()
    if not folder.endswith("-packages"):
        continue
    packages = os.path.join(folder, "nvidia")
    names.clear()  # packages are not searched: that would take long
    for name in sorted(os.listdir(packages)) if os.path.isdir(packages) else ():
        libraries = os.path.join(packages, name, "lib")
        if os.path.isdir(libraries) and any(".so" in file for file in os.listdir(libraries)):
            sys.stdout.write(libraries + "\n")
PY
}

if ! command -v ldconfig >/dev/null; then
    log "cuda_libraries=True needs ldconfig, which this image lacks: remove the option, and set LD_LIBRARY_PATH in env="
    exit 1
fi
folders=$(find_library_folders)
if [ -z "$folders" ]; then
    log "cuda_libraries=True has no effect: no package in this image has CUDA's libraries"
    exit 0
fi
mkdir -p "${list%/*}"
printf '%s\n' "$folders" >"$list"
[ -e /etc/ld.so.conf ] || : >/etc/ld.so.conf
while IFS= read -r line || [ -n "$line" ]; do
    case $line in "include "*ld.so.conf.d*) has_include=yes ;; esac
done </etc/ld.so.conf
[ -n "${has_include-}" ] || printf '\ninclude /etc/ld.so.conf.d/*.conf\n' >>/etc/ld.so.conf
ldconfig -X # the packages' folders stay as they are
printf '%s\n' "$folders" | while IFS= read -r folder; do log "every program finds the libraries in $folder"; done
