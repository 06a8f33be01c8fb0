"""Public paths for upstream paths that the platform would refuse: legal, readable, unique, the same in every order."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from chutes_wrappers.core import platform_rules

ROOT = "/root"
RESERVED_PREFIX = "/service"
LONGEST_ALIAS = 200
_DIGEST_LENGTHS = (6, 12, 64)


def is_legal(path: str) -> bool:
    """Whether the SDK and the API take ``path`` as a public path (PLATFORM.md, section 2)."""
    return bool(platform_rules.API_PUBLIC_PATH.match(path))


def aliases(paths: Iterable[str], *, move_reserved: bool = False) -> dict[str, str]:
    """A public path for each of ``paths``; a legal one is its own.

    Of ``/a`` and ``/a/`` the first named is ``/a``, the other ``/a/slash``. Any others that would be alike get the first
    digits of their own SHA-256, so that no alias depends on the order of the paths. With ``move_reserved`` a path that the
    platform answers itself moves below ``/service``.
    """
    wanted = {path: _wanted(path, move_reserved) for path in dict.fromkeys(paths)}
    wanted |= _slash_twins(wanted)
    uses = Counter(wanted.values())
    settled = {path: alias for path, alias in wanted.items() if _is_its_own(path, alias) or uses[alias] == 1}
    taken = set(settled.values())
    for path in sorted(set(wanted) - set(settled)):
        settled[path] = _numbered(path, wanted[path], taken)
        taken.add(settled[path])
    return {path: settled[path] for path in wanted}


def _wanted(path: str, move_reserved: bool) -> str:
    alias = path if is_legal(path) else _readable(path)
    return RESERVED_PREFIX + alias if move_reserved and platform_rules.is_shadowed(alias) else alias


def _is_its_own(path: str, alias: str) -> bool:
    return path in (alias, f"{alias}/")


def _readable(path: str) -> str:
    alias = "".join(f"/{_segment(part)}" for part in path.split("/") if part) or ROOT
    if len(alias) <= LONGEST_ALIAS:
        return alias
    return f"{alias[: LONGEST_ALIAS - 14].rstrip('/_-')}_{_digest(path, 12)}"


def _segment(text: str) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")
    if not name:
        return "x"
    return name if name[0].isalpha() else f"n{name}"


def _slash_twins(wanted: Mapping[str, str]) -> dict[str, str]:
    """For each pair of ``/a`` and ``/a/`` what becomes of both."""
    order = {path: index for index, path in enumerate(wanted)}
    public: dict[str, str] = {}
    for path in wanted:
        twin = path[:-1]
        if path.endswith("/") and twin in wanted and not twin.endswith("/"):
            first, second = sorted((path, twin), key=order.__getitem__)
            public[first] = wanted[twin]
            public[second] = f"{wanted[twin]}/slash"
    return public


def _numbered(path: str, alias: str, taken: set[str]) -> str:
    candidates = (f"{alias}_{_digest(path, length)}" for length in _DIGEST_LENGTHS)
    return next(candidate for candidate in candidates if candidate not in taken)


def _digest(path: str, length: int) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:length]
