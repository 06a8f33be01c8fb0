"""Which paths an image may make writable for uid 1000. Pure: links are resolved during the build (sdk/recipe/writable.sh)."""

from __future__ import annotations

import posixpath

# The owner of one of these can replace programs, libraries or accounts. A path inside them may be writable.
# sdk/recipe/system_paths.sh has the same two lists.
SYSTEM_FOLDERS = (
    *("/", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/root", "/usr"),
    *("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32"),
    *("/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin"),
)
# Nothing inside these may be writable either: programs, accounts, the kernel's files, and those of the platform (PLATFORM.md,
# section 1) and of this toolkit (core/layout.py).
SYSTEM_TREES = (
    *("/bin", "/dev", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/sbin"),
    *("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow", "/etc/pam.d", "/etc/sudoers", "/etc/sudoers.d"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload"),
    *("/etc/bytecode.manifest", "/etc/chutesfs.index", "/usr/local/lib/chutes-aegis.so", "/opt/chutes-wrappers"),
)


def normalize_path(path: str) -> str:
    """Return an absolute path without ``.``, ``..`` and repeated slashes."""
    return "/" + posixpath.normpath(path).lstrip("/")


def find_writable_path_problem(path: str) -> str | None:
    """Return why an image must not make ``path`` writable, as words after the path; None if it may."""
    if not path.startswith("/"):
        return "is not an absolute path"
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        return "contains a control character"
    normalized = normalize_path(path)
    if normalized in SYSTEM_FOLDERS:
        return "is a folder of the system"
    parents = f"{normalized}/"
    if any(parents.startswith(f"{tree}/") for tree in SYSTEM_TREES):
        return "belongs to the system"
    return None
