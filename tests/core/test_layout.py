from __future__ import annotations

import ast
from pathlib import Path

import pytest

from chutes_wrappers.core import layout, platform_rules

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name", [name for name in dir(layout) if name.startswith("BAKED_") and not name.endswith("VARIABLE")]
)
def test_baked_paths_are_not_hidden_by_volumes(name: str) -> None:
    path = Path(getattr(layout, name))
    assert path.is_relative_to("/opt/chutes-wrappers")
    assert not any(path.is_relative_to(volume) for volume in platform_rules.INSTANCE_VOLUMES)


def test_baked_paths_are_unique() -> None:
    paths = [getattr(layout, name) for name in dir(layout) if name.startswith("BAKED_")]
    assert len({*paths}) == len(paths)


def test_everything_that_an_instance_imports_is_put_into_the_image() -> None:
    """Every module of ours that the façade imports is below one of the sources."""
    sources = [ROOT / source for source in layout.PACKAGE_SOURCES]
    pending, visited = [ROOT / "tools" / "chute_wrappers.py"], set()
    while pending:
        path = pending.pop()
        if path in visited:
            continue
        visited.add(path)
        assert any(path.is_relative_to(source) for source in sources), path
        pending += _imported(path)
    assert len(visited) > 30


def _imported(path: Path) -> list[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = [ROOT.joinpath(*name.split(".")) for name in names if name.split(".")[0] in ("tools", "chutes_wrappers")]
    return [file for place in ours for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]


def test_variables_of_the_recipe_are_removed_from_the_service() -> None:
    assert {*layout.RECIPE_VARIABLES} == {
        "CHUTES_USERNAME",
        "PIP_NO_CACHE_DIR",
        "UV_NO_CACHE",
        "UV_NO_CONFIG",
        *layout.TRACEBACK_SETTINGS,
        "CHUTES_WRAPPERS_ALLOW",
        "CHUTES_WRAPPERS_LAUNCH",
        "CHUTES_WRAPPERS_MANIFEST",
    }
