from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import layout
from chutes_wrappers.core.writable_paths import (
    SYSTEM_FOLDERS,
    SYSTEM_TREES,
    find_writable_path_problem,
    normalize_path,
)

RECIPE = Path(__file__).resolve().parents[2] / "chutes_wrappers" / "sdk" / "recipe"
POSSIBLE = (
    *(
        "/data",
        "/app",
        "/srv",
        "/home",
        "/home/app",
        "/root/.cache",
        "/root/x",
        "/run",
        "/var/run",
        "/var/lib",
        "/var/log",
    ),
    *("/usr/share/nginx/html", "/etc/nginx", "/etc/passwd2", "/usr/src/app", "/usr/lib/node_modules/x", "/opt/app"),
    *("/usr/local/lib/python3.12/site-packages", "/mnt", "/media", "/etcetera", "/tmp", "/cache", "/opt/chutes"),
)
SPELLINGS = st.sampled_from(["{}", "{}/", "/{}", "{}/.", "{}//", "{}/a/..", "/a/..{}", "/..{}", "/.{}"])


@pytest.mark.parametrize("path", POSSIBLE)
def test_a_folder_that_services_use_is_possible(path: str) -> None:
    assert find_writable_path_problem(path) is None


@given(st.sampled_from([*SYSTEM_FOLDERS, *SYSTEM_TREES]), SPELLINGS)
def test_a_path_of_the_system_is_refused_in_every_spelling(path: str, spelling: str) -> None:
    spelled = spelling.format(path)
    assert find_writable_path_problem(spelled) is not None
    assert normalize_path(spelled) == path


@given(st.sampled_from(SYSTEM_TREES), st.from_regex(r"(/[a-z.]{1,3}[a-z]){1,3}", fullmatch=True))
def test_nothing_inside_a_system_tree_is_possible(tree: str, rest: str) -> None:
    assert find_writable_path_problem(tree + rest) is not None


@pytest.mark.parametrize(
    "path", ["", "data", "./data", "../etc", "~/x", "/a\nb", "/a\rb", "/a\x00", "/a\x1b[31m", "/\x7f"]
)
def test_a_path_that_is_not_absolute_or_not_printable_is_refused(path: str) -> None:
    assert find_writable_path_problem(path) is not None


def test_every_parent_of_a_system_path_is_refused_too() -> None:
    for path in (*SYSTEM_FOLDERS, *SYSTEM_TREES):
        assert find_writable_path_problem(posixpath.dirname(path)) is not None


def test_the_folder_of_this_toolkit_belongs_to_the_system() -> None:
    assert layout.BAKED_ROOT in SYSTEM_TREES


def test_the_recipe_has_the_same_lists() -> None:
    source = (RECIPE / "system_paths.sh").read_text()
    lists = {name: tuple(words.split()) for name, words in re.findall(r"^(system_\w+)='([^']*)'", source, re.MULTILINE)}
    assert lists == {"system_folders": SYSTEM_FOLDERS, "system_trees": SYSTEM_TREES}


def find_refused_in_recipe(paths: list[str], readlink: str) -> set[str]:
    script = f'{readlink}\n. ./system_paths.sh\nfor each in "$@"; do ! is_system_path "$each" || echo "$each"; done'
    argv = ["/bin/sh", "-eu", "-c", script, "sh", *paths]
    return {*subprocess.run(argv, cwd=RECIPE, capture_output=True, text=True, check=True).stdout.splitlines()}


def test_the_recipe_refuses_the_same_paths() -> None:
    folders = [*SYSTEM_FOLDERS, *SYSTEM_TREES]
    paths = [
        *folders,
        *POSSIBLE,
        *(f"{folder.rstrip('/')}/x" for folder in folders),
        *(f"{folder}x" for folder in folders),
    ]
    refused = {path for path in paths if find_writable_path_problem(path) is not None}
    no_links = 'readlink() { printf "%s\\n" "$2"; }'
    assert find_refused_in_recipe(paths, no_links) == refused


def test_what_a_link_of_the_system_leads_to_is_refused_and_so_is_what_contains_it() -> None:
    links = 'readlink() { case $2 in /etc) echo "/far/real etc" ;; /sbin) echo /far/bin ;; *) echo "$2" ;; esac; }'
    paths = ["/far", "/far/real etc", "/far/real etc/x", "/far/bin/x", "/far/other", "/farther"]
    assert find_refused_in_recipe(paths, links) == {"/far", "/far/real etc", "/far/bin/x"}
