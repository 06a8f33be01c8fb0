"""The recipe's shell files, with a fake package manager for each test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

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
