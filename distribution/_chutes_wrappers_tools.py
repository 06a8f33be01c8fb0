"""Makes ``tools.chute_wrappers`` importable wherever the wheel is installed, beside whatever ``tools`` the user has.

``chutes_wrappers_tools.pth`` installs it in every Python of the environment, so it imports nothing until it is needed.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PARENT, _FACADE = "tools", "tools.chute_wrappers"


class ToolsFinder:
    """Finds what everybody else finds; else the facade, and an empty ``tools`` to hold it.

    It stands first, because a ``tools.py`` of the user's must become a package, which it alone knows.
    """

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """What ``import`` loads for ``name``; None for all but the two names."""
        if name == _FACADE:
            return self._find_elsewhere(name, path, target) or _find_facade()
        return _make_package(self._find_elsewhere(name, path, target)) if name == _PARENT else None

    def _find_elsewhere(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                return spec
        return None


def _make_package(spec: "ModuleSpec | None") -> "ModuleSpec | None":
    from importlib.machinery import ModuleSpec
    from importlib.util import find_spec

    if spec is None:
        return ModuleSpec(_PARENT, None, is_package=True) if find_spec("chutes_wrappers") else None
    if spec.submodule_search_locations is None:
        spec.submodule_search_locations = []  # a module with this may have submodules
    return spec


def _find_facade() -> "ModuleSpec | None":
    from importlib.util import find_spec, spec_from_file_location

    found = find_spec("chutes_wrappers.facade")
    return spec_from_file_location(_FACADE, found.origin) if found is not None else None


def install() -> None:
    """Put the finder in its place, once."""
    if not any(isinstance(finder, ToolsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ToolsFinder())
