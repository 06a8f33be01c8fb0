"""Values of a module's variables that are not literals in its source, read by running it.

Run as ``python start.py chutes_wrappers.sdk.variables:main FILE NAME…``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.sdk.child_result import exit_with_result


def main() -> NoReturn:
    """Print variables of a module as a JSON object: the first argument is its file, the others are their names."""
    exit_with_result(lambda: read_variables(sys.argv[1], sys.argv[2:]))


def read_variables(path: str, names: Iterable[str]) -> dict[str, Any]:
    """Run the module at ``path`` and return those of ``names`` that it sets.

    Raises ConfigurationError for a value that JSON cannot represent.
    """
    name = os.path.basename(path).removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError("is not a Python file", where=path, next_step="use a file that ends in .py")
    import chutes_wrappers.sdk.preloads  # noqa: F401

    sys.path.append(os.path.dirname(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    values = {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name, value in values.items():
        _check_plain(path, name, value)
    return values


def _check_plain(path: str, name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        # Without the value, which may hold a secret.
        raise ConfigurationError(
            f"{name} must contain only text, numbers, lists and dictionaries",
            where=path,
            next_step="convert it, as in str(value) or list(value)",
        ) from error
