"""The recipe's shell files, with a package manager that says what each test needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chutes_wrappers.sdk.image import _reaches_the_sdk

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


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run shell code behind the recipe's own, with the fake manager before the real one."""
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


def test_a_package_source_that_is_gone_costs_nothing_when_all_is_there(tmp_path: Path) -> None:
    done = run(". ./packages.sh; refresh; install curl; install_first gone known", tmp_path, GONE="1")
    assert done.returncode == 0, done.stdout
    assert VENDOR in done.stdout
    assert "going on with the others" in done.stdout
    assert "known" in done.stdout


@pytest.mark.parametrize("script", ["install driver", "install_first driver driver2"])
def test_what_is_missing_then_is_named_with_what_its_source_said(script: str, tmp_path: Path) -> None:
    done = run(f". ./packages.sh; refresh; {script}; echo went on", tmp_path, GONE="1")
    assert done.returncode == 1
    *_, name, reason = done.stdout.splitlines()
    assert name == "chutes-wrappers: cannot be installed: driver"
    assert reason == f"chutes-wrappers: a package list cannot be read: {VENDOR}"


def test_what_a_distribution_whose_lists_are_all_there_does_not_know_is_left_out(tmp_path: Path) -> None:
    done = run(". ./packages.sh; refresh; install_first driver; install driver", tmp_path)
    assert "left out: driver" in done.stdout
    assert done.returncode == 1
    assert done.stdout.endswith("cannot be installed: driver\n")


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


def test_a_vendors_pip_settings_stop_no_installation_and_its_mirror_stays(tmp_path: Path) -> None:
    given = {f"PIP_{name}": "x y" for name in (*STOPPING, *MIRRORS)} | {"PYTHONPATH": "/srv", "PIPELINE": "own"}
    shown = run(". ./settings.sh; env", tmp_path, **given).stdout
    left = {line.partition("=")[0] for line in shown.splitlines()}
    assert left & given.keys() == {*(f"PIP_{name}" for name in MIRRORS), "PIPELINE"}


def test_the_image_neutralises_what_the_recipe_does() -> None:
    assert [name for name in (*STOPPING, *MIRRORS) if not _reaches_the_sdk(f"PIP_{name}")] == [*MIRRORS]
    assert _reaches_the_sdk("PYTHONPATH")
    assert not _reaches_the_sdk("PIPELINE")
