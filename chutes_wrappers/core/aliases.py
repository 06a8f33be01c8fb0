"""Public aliases for upstream paths that the platform rejects: legal, readable, unique, independent of their order."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from chutes_wrappers.core import platform_checks, platform_rules

ROOT = "/root"
RESERVED_PREFIX = "/service"
MAX_ALIAS_LENGTH = 200
_DIGEST_LENGTHS = (6, 12, 64)


def is_legal(path: str) -> bool:
    """Return whether the SDK and the API accept ``path`` as a public path (PLATFORM.md, section 2)."""
    return bool(platform_rules.API_PUBLIC_PATH.match(path))


def build_aliases(paths: Iterable[str], *, move_reserved: bool = False) -> dict[str, str]:
    """Return a public path for each of ``paths``; a legal path is unchanged.

    Of ``/a`` and ``/a/`` the first in the input becomes ``/a``, the other ``/a/slash``. Other paths with equal aliases get
    the first digits of their SHA-256 appended, so that no alias depends on the order of the paths. With ``move_reserved`` a
    path that the platform serves itself moves below ``/service``.
    """
    preferred = {path: _build_alias(path, move_reserved) for path in dict.fromkeys(paths)}
    preferred |= _resolve_slash_twins(preferred)
    uses = Counter(preferred.values())
    assigned = {path: alias for path, alias in preferred.items() if _is_unchanged(path, alias) or uses[alias] == 1}
    used = set(assigned.values())
    for path in sorted(set(preferred) - set(assigned)):
        assigned[path] = _make_unique(path, preferred[path], used)
        used.add(assigned[path])
    return {path: assigned[path] for path in preferred}


def _build_alias(path: str, move_reserved: bool) -> str:
    alias = path if is_legal(path) else _make_readable(path)
    return RESERVED_PREFIX + alias if move_reserved and platform_checks.is_shadowed(alias) else alias


def _is_unchanged(path: str, alias: str) -> bool:
    return path in (alias, f"{alias}/")


def _make_readable(path: str) -> str:
    alias = "".join(f"/{_make_segment(part)}" for part in path.split("/") if part) or ROOT
    if len(alias) <= MAX_ALIAS_LENGTH:
        return alias
    return f"{alias[: MAX_ALIAS_LENGTH - 14].rstrip('/_-')}_{_hash_path(path, 12)}"


def _make_segment(text: str) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")
    if not name:
        return "x"
    return name if name[0].isalpha() else f"n{name}"


def _resolve_slash_twins(preferred: Mapping[str, str]) -> dict[str, str]:
    """Return the aliases of both paths for each pair of ``/a`` and ``/a/``."""
    order = {path: index for index, path in enumerate(preferred)}
    public: dict[str, str] = {}
    for path in preferred:
        twin = path[:-1]
        if path.endswith("/") and twin in preferred and not twin.endswith("/"):
            first, second = sorted((path, twin), key=order.__getitem__)
            public[first] = preferred[twin]
            public[second] = f"{preferred[twin]}/slash"
    return public


def _make_unique(path: str, alias: str, used: set[str]) -> str:
    candidates = (f"{alias}_{_hash_path(path, length)}" for length in _DIGEST_LENGTHS)
    return next(candidate for candidate in candidates if candidate not in used)


def _hash_path(path: str, length: int) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:length]
