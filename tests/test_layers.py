"""Imports between the layers, and the imports on an instance."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chutes_wrappers
from chutes_wrappers import facade

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "chutes_wrappers"
MAY_IMPORT = {
    "core": set(),
    "runtime": {"core"},
    "sdk": {"core", "runtime"},
    "host": {"core", "runtime", "sdk"},
    "emulator": {"core", "runtime", "sdk", "host"},
    "cli": {"core", "runtime", "sdk", "host", "emulator"},
}
HOST_ONLY = ("click", "docker", "yaml", "chutes_wrappers.host", "chutes_wrappers.emulator", "chutes_wrappers.cli")
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def _parse_file(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text())


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_a_layer_imports_only_from_layers_below() -> None:
    used = {
        (path, name.split(".")[1])
        for path in MODULES
        if path.parent != PACKAGE
        for name in imports_of(path)
        if name.startswith("chutes_wrappers.")
    }
    assert len(used) > len(MAY_IMPORT)
    assert [(path, name) for path, name in used if name not in MAY_IMPORT[layer_of(path)] | {layer_of(path)}] == []


def test_core_needs_only_the_standard_library_and_pydantic() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        foreign = {name.split(".")[0] for name in imports_of(path)} - sys.stdlib_module_names
        assert foreign <= {"pydantic", "chutes_wrappers"}, path


def test_modules_have_no_circular_imports() -> None:
    graph = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): imports_of(path)
        for path in MODULES
        if path.name != "__init__.py"
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in finished:
            return
        for imported in graph[module] & graph.keys():
            visit(imported, (*trail, module))
        finished.add(module)

    for module in graph:
        visit(module, ())


def test_packages_hold_only_a_docstring() -> None:
    for path in [*PACKAGE.glob("*/**/__init__.py"), ROOT / "tools" / "__init__.py"]:
        (statement,) = ast.parse(path.read_text()).body
        assert isinstance(statement, ast.Expr), path


def test_the_package_has_the_names_of_the_facade_and_imports_it_for_them_only() -> None:
    """The only package with code: it loads names at their first use, and has imports for type checkers."""
    assert chutes_wrappers.__all__ == facade.__all__
    assert {*facade.__all__} <= {*dir(chutes_wrappers)}
    for name in facade.__all__:
        assert getattr(chutes_wrappers, name) is getattr(facade, name)
    (imported,) = [node for node in _parse_file("__init__.py").body if isinstance(node, ast.If)]
    assert isinstance(imported.test, ast.Name)
    assert imported.test.id == "TYPE_CHECKING"
    assert {alias.name for node in imported.body if isinstance(node, ast.ImportFrom) for alias in node.names} == {
        *facade.__all__
    }


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        chutes_wrappers.no_such_name  # noqa: B018


def test_importing_a_submodule_imports_nothing_else() -> None:
    script = "import sys, json; before = {*sys.modules}; import chutes_wrappers.core; print(json.dumps([*({*sys.modules} - before)]))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(json.loads(done.stdout)) == ["chutes_wrappers", "chutes_wrappers.core"]


def test_the_facade_imports_from_what_an_instance_has() -> None:
    ours = {name.split(".")[1] for name in imports_of(PACKAGE / "facade.py")}
    assert ours == {"runtime", "sdk"}


def test_the_facade_loads_with_every_host_only_dependency_blocked() -> None:
    script = f"""
import sys
for name in {HOST_ONLY!r}:
    sys.modules[name] = None
import tools.chute_wrappers as facade
assert sorted(facade.__all__) == facade.__all__
for name in facade.__all__:
    assert callable(getattr(facade, name)), name
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# Names that start a process, in addition to modules for processes.
STARTERS = re.compile(
    r"create_subprocess_\w+|fork|forkpty|posix_spawnp?|popen|Popen|spawn[lv]p?e?|subprocess_(exec|shell)|system|ProcessPoolExecutor"
)
PROCESS_MODULES = {"subprocess", "multiprocessing", "pty"}


@functools.cache
def can_start_processes(source: str) -> bool:
    """Return whether ``source`` can start a process; imports for type checkers and annotations cannot."""
    if not STARTERS.search(source) and not any(name in source for name in PROCESS_MODULES):
        return False  # without parsing it
    tree = ast.parse(source)
    return any(_is_starter(node) for node in {*ast.walk(tree)} - _find_unreachable(tree))


def _find_unreachable(tree: ast.Module) -> set[ast.AST]:
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            roots += node.body
        roots += [part for name in ("annotation", "returns") if (part := getattr(node, name, None)) is not None]
    return {inner for root in roots for inner in ast.walk(root)}


def _is_starter(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in PROCESS_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        is_theirs = (node.module or "").split(".")[0] in PROCESS_MODULES
        return is_theirs or any(STARTERS.fullmatch(alias.name) for alias in node.names)
    return isinstance(node, ast.Attribute) and STARTERS.fullmatch(node.attr) is not None


@pytest.mark.parametrize(
    ("source", "starts"),
    [
        ("import subprocess\ndef f(p: subprocess.Popen[bytes]) -> None: ...", True),
        (
            "if TYPE_CHECKING:\n    import subprocess\ndef f(p: subprocess.Popen[bytes]) -> subprocess.Popen[str]: ...",
            False,
        ),
        ("if TYPE_CHECKING:\n    import subprocess\nsubprocess.Popen(['a'])", True),
        ("if TYPE_CHECKING:\n    import os\nelse:\n    import subprocess", True),
        ("from subprocess import run", True),
        ("from asyncio import create_subprocess_exec", True),
        ("import asyncio, os\nasyncio.create_subprocess_exec('a')", True),
        ("import os\nos.system('a')", True),
        ("import os\nrun = os.posix_spawn", True),
        ("import multiprocessing.pool", True),
        ("x: subprocess.Popen[bytes] | None = None", False),
        ("import os\nos.kill(1, 15)", False),
    ],
)
def test_code_that_can_start_a_process_is_recognised(source: str, starts: bool) -> None:
    assert can_start_processes(source) is starts


def test_only_the_process_runner_the_launcher_and_the_bootstrap_start_processes() -> None:
    starters = {str(path.relative_to(PACKAGE)) for path in MODULES if can_start_processes(path.read_text())}
    runners = {"host/processes.py", "host/forked_process.py", "host/library_process.py"}
    assert starters == {*runners, "runtime/launcher.py", "cli/setup/virtual_environment.py"}


def test_on_an_instance_only_the_launcher_starts_processes() -> None:
    """The launcher avoids vfork, because the platform's guard ends such a process (PLATFORM.md, section 1)."""
    layers = ("core", "runtime", "sdk")
    on_instances = {path for path in MODULES if layer_of(path) in (*layers, "facade.py")}
    on_instances |= {PACKAGE / "emulator" / "runner.py"}
    starters = {path.relative_to(PACKAGE).as_posix() for path in on_instances if can_start_processes(path.read_text())}
    assert starters == {"runtime/launcher.py"}


# Private names of libraries without a public alternative. Each has a test that fails if it is gone.
PRIVATE_NAMES = {
    ("emulator/runner.py", "_conn_stats"),
    ("emulator/runner.py", "_encrypt"),
    ("host/platform_api/startup_logs.py", "_decrypt_logs"),
    ("runtime/launcher.py", "_USE_VFORK"),
    ("runtime/service_python/sitecustomize.py", "_USE_VFORK"),
    ("sdk/describe.py", "_func"),
    ("sdk/describe.py", "_method"),
    ("sdk/describe.py", "_passthrough"),
    ("sdk/describe.py", "_passthrough_port"),
    ("sdk/describe.py", "_public_api_method"),
    ("sdk/describe.py", "_shared"),
    ("sdk/describe.py", "_stream"),
    ("sdk/cord_overrides.py", "_public_api_method"),
    ("sdk/header_wiring.py", "_method"),
    ("sdk/header_wiring.py", "_passthrough"),
    ("sdk/header_wiring.py", "_passthrough_port"),
    ("sdk/header_wiring.py", "_public_api_method"),
}
DOCUMENTED = {"_exit", "_getframe"}  # of os and sys
OWN_MODULES = {"_chutes_wrappers_tools"}


def find_private_names(path: Path) -> set[str]:
    """Return the private names in ``path`` that it does not define."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    defined |= {node.attr for node in attributes if _is_self(node.value)}
    used = {node.attr for node in attributes if not _is_self(node.value)}
    used |= {part for name in imports_of(path) for part in name.split(".")}
    used -= defined | DOCUMENTED | OWN_MODULES
    return {name for name in used if name.startswith("_") and not name.endswith("__")}


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_private_names_of_others_are_used_only_where_a_test_guards_them() -> None:
    """tests/sdk/test_sdk_internals.py tests those of the SDK, and describes the correction."""
    used = {(str(path.relative_to(PACKAGE)), name) for path in MODULES for name in find_private_names(path)}
    assert used == PRIVATE_NAMES


def test_no_code_uses_a_library_that_only_one_sdk_version_installs() -> None:
    library = re.compile("substrate" + "interface")
    folders = (PACKAGE, *(ROOT / name for name in ("benchmarks", "docs", "examples", "tests", "tools")))
    files = [path for folder in folders for path in folder.rglob("*.py")]
    files += [*ROOT.glob("*.py"), *ROOT.glob("*.sh"), *ROOT.glob("requirements*.txt"), ROOT / "pyproject.toml"]
    assert [path for path in files if library.search(path.read_text())] == []


def test_a_test_that_imports_the_sdk_runs_under_its_next_release_too() -> None:
    listed = [ROOT / name for name in re.findall(r"tests/(?!test_layers)[\w/.]+", (ROOT / "test.sh").read_text())]
    slow = [ROOT / "tests" / name for name in ("docker", "packages")]
    fast = [path for path in (ROOT / "tests").rglob("test_*.py") if not {*slow} & {*path.parents}]
    users = [path for path in fast if _imports_the_sdk(path)]
    assert users
    assert [path for path in users if not {*listed} & {path, *path.parents}] == []


def _imports_the_sdk(path: Path) -> bool:
    source = path.read_text()
    nodes = list(ast.walk(ast.parse(source))) if re.search(r"\bchutes\b", source) else []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return "chutes" in {name.split(".")[0] for name in names}
