"""Deploy modules loaded as the SDK loads them, from separate folders."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
Loader = Callable[[str], ModuleType]


@pytest.fixture
def load_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    """Write source to ``deploy_case.py`` in ``tmp_path`` (beside links to our package) and load it."""
    for name in ("CHUTES_ROUTE_MANIFEST", "CHUTES_ROUTE_MANIFEST_JSON", "CHUTES_SKIP_ROUTE_REGISTRATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHUTES_USERNAME", "tester")
    monkeypatch.setenv("CHUTES_ALLOW_MISSING", "true")
    monkeypatch.chdir(tmp_path)
    for name in ("chutes_wrappers", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)

    def load(source: str) -> ModuleType:
        path = tmp_path / "deploy_case.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("deploy_case", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["deploy_case"] = module
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("deploy_case", None)
