# mypy: allow-untyped-defs, allow-untyped-calls
"""Makes a Python service start its children with fork: the guard library ends a child of vfork (PLATFORM.md, section 1).

Every Python of the service imports this at its start, because the launcher adds this folder to PYTHONPATH. It then imports
the image's own sitecustomize, and the service finds no trace in ``sys.path``. The syntax is valid in Python 2.7 too.
"""

import sys


class _SubprocessFinder:
    """Sets the switch of ``subprocess`` after its import by the service.

    An import of it here would load seven more modules, which a service may replace by files of the same names.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "subprocess":
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                _disable_vfork_after_import(spec.loader)
                return spec
        return None


def _disable_vfork_after_import(loader):
    if isinstance(loader, type):  # of a frozen module: other modules use it too
        return
    execute = loader.exec_module

    def execute_and_disable(module):
        execute(module)
        module._USE_VFORK = False

    loader.exec_module = execute_and_disable


if sys.version_info >= (3, 10):  # noqa: UP036  # older ones have no vfork
    sys.meta_path.insert(0, _SubprocessFinder())
_folder = __file__.rpartition("/")[0]
sys.path[:] = [entry for entry in sys.path if entry != _folder]
del sys.modules[__name__]
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401  # without one, site ignores the ImportError
