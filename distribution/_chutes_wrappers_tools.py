"""Import hook that makes ``tools.chute_wrappers`` importable where the wheel is installed, beside a ``tools`` of the user.

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
    """Finds what the other finders find, else the facade, and an empty ``tools`` package for it.

    It must be first, because a ``tools.py`` of the user must become a package, and only this finder does that.
    """

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return what ``import`` loads for ``name``; None for any name but the two."""
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
    """Install the finder as the first one, once."""
    if not any(isinstance(finder, ToolsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ToolsFinder())
