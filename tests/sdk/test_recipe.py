"""The recipe's shell files, with a fake package manager for each test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from chutes_wrappers.sdk.image import _can_affect_sdk

from .conftest import ROOT

RECIPE = ROOT / "chutes_wrappers" / "sdk" / "recipe"
VENDOR = "E: The repository 'https://vendor.example Release' is not signed."
APT_GET = f"""#!/bin/sh
case "$1:$*" in
update:*) echo "W: Target Packages is configured multiple times" >&2; [ -z "$GONE" ] || {{ echo "{VENDOR}" >&2; exit 100; }} ;;
install:*driver*) echo "E: Unable to locate package driver" >&2; exit 100 ;;
*) echo "installed ${{@##-*}}" ;;
esac
"""
APT_CACHE = """#!/bin/sh
[ "$2" != known ] || echo "Package: known"
"""


def run_script(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run shell code of the recipe, with the fake package manager first in PATH."""
    for name, content in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "-eu", "-c", script],
        cwd=RECIPE,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder), "GONE": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_an_unreachable_package_source_does_not_matter_when_nothing_is_missing(tmp_path: Path) -> None:
    result = run_script(". ./packages.sh; refresh_lists; install curl; install_first gone known", tmp_path, GONE="1")
    assert result.returncode == 0, result.stdout
    assert VENDOR in result.stdout
    assert "continuing with the others" in result.stdout
    assert "known" in result.stdout


@pytest.mark.parametrize("script", ["install driver", "install_first driver driver2"])
def test_a_missing_package_is_named_with_the_error_of_its_source(script: str, tmp_path: Path) -> None:
    result = run_script(f". ./packages.sh; refresh_lists; {script}; echo went on", tmp_path, GONE="1")
    assert result.returncode == 1
    *_, name, reason = result.stdout.splitlines()
    assert name == "chutes-wrappers: cannot be installed: driver"
    assert reason == f"chutes-wrappers: a package list cannot be read: {VENDOR}"


def test_a_package_that_the_distribution_does_not_have_is_left_out(tmp_path: Path) -> None:
    result = run_script(". ./packages.sh; refresh_lists; install_first driver; install driver", tmp_path)
    assert "left out: driver" in result.stdout
    assert result.returncode == 1
    assert result.stdout.endswith("cannot be installed: driver\n")


STOPPING = (
    *("ABI", "BUILD_CONSTRAINT", "CONFIG_FILE", "CONSTRAINT", "DRY_RUN", "EDITABLE", "GROUP", "IMPLEMENTATION"),
    *("NO_BINARY", "NO_BUILD_ISOLATION", "NO_DEPS", "NO_INDEX", "ONLY_BINARY", "PLATFORM", "PREFIX", "PYTHON"),
    *("PYTHON_VERSION", "REPORT", "REQUIREMENT", "REQUIRE_HASHES", "REQUIRE_VIRTUALENV", "ROOT", "TARGET"),
    *("UPLOADED_PRIOR_TO", "USER", "USE_DEPRECATED", "USE_FEATURE", "WHAT_COMES_NEXT"),
)
MIRRORS = (
    *("CERT", "CLIENT_CERT", "DEFAULT_TIMEOUT", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "KEYRING_PROVIDER"),
    *("PROXY", "RETRIES", "TIMEOUT", "TRUSTED_HOST", "BREAK_SYSTEM_PACKAGES"),
)


def test_pip_settings_of_the_vendor_are_removed_except_its_mirror(tmp_path: Path) -> None:
    variables = {f"PIP_{name}": "x y" for name in (*STOPPING, *MIRRORS)} | {"PYTHONPATH": "/srv", "PIPELINE": "own"}
    output = run_script(". ./settings.sh; env", tmp_path, **variables).stdout
    remaining = {line.partition("=")[0] for line in output.splitlines()}
    assert remaining & variables.keys() == {*(f"PIP_{name}" for name in MIRRORS), "PIPELINE"}


def test_the_image_overrides_the_same_settings_as_the_recipe() -> None:
    assert [name for name in (*STOPPING, *MIRRORS) if not _can_affect_sdk(f"PIP_{name}")] == [*MIRRORS]
    assert _can_affect_sdk("PYTHONPATH")
    assert not _can_affect_sdk("PIPELINE")


def test_the_recipe_downloads_programs_only_with_a_hash() -> None:
    """The SDK and its dependencies come from the user's package index, in the version that the user has."""
    lines = [line for file in sorted(RECIPE.glob("*.sh")) for line in file.read_text().splitlines()]
    downloads = [
        line
        for line in lines
        if re.search(r"\binstall -q|curl .*http|wget|python install", line) and "apt-get" not in line
    ]
    assert [line.strip() for line in downloads] == [
        '"$@" install -q --no-compile --no-deps --require-hashes -r "$recipe/programs.txt" >&2',
        'timeout 600 "$uv" python install "$python_version" >&2 || return 1',
        '"$venv/bin/pip" install -q --no-compile "chutes==$sdk_version"',
    ]
    programs = [line for line in (RECIPE / "programs.txt").read_text().splitlines() if not line.startswith("#")]
    pattern = r"(\w+)==[\d.]+( ; python_version [<>=]+ \"[\d.]+\")? --hash=sha256:[0-9a-f]{64}"
    assert [re.fullmatch(pattern, line)[1] for line in programs] == ["pip", "pip", "uv"]  # type: ignore[index]


@pytest.mark.parametrize(("python", "latest_pip"), [("3.8", "25.0.1"), ("3.9", "26.0.1"), ("3.10", ""), ("3.13", "")])
def test_a_vendors_older_python_gets_a_pip_that_supports_it(python: str, latest_pip: str) -> None:
    """Without it no uv could be installed there, so the SDK would not get the requested Python."""
    programs = [line.partition(" --hash")[0] for line in (RECIPE / "programs.txt").read_text().splitlines()]
    requirements = [Requirement(line) for line in programs if not line.startswith("#")]
    selected = [
        each for each in requirements if each.marker is None or each.marker.evaluate({"python_version": python})
    ]
    assert [each.name for each in selected] == ["pip", "uv"]
    (pip,) = selected[0].specifier
    assert not latest_pip or Version(pip.version) <= Version(latest_pip)


def test_a_program_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    """With real pip, and packages in these versions from another source."""
    for name, version in re.findall(r"^(\w+)==([\d.]+)", (RECIPE / "programs.txt").read_text(), re.MULTILINE):
        with zipfile.ZipFile(tmp_path / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            information = f"{name}-{version}.dist-info"
            wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{information}/RECORD", "")
    script = f"recipe=$PWD; . ./python.sh; install_programs {sys.executable} -m pip --no-input"
    result = run_script(
        script, tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path), PIP_TARGET=str(tmp_path / "new")
    )
    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stdout
    assert not (tmp_path / "new").exists()
