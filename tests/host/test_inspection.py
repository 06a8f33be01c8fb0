"""Inspection reads what an image runs from its description and files, and rejects images that cannot run."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import UnsupportedImage
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.writable_paths import SYSTEM_FOLDERS, SYSTEM_TREES, find_writable_path_problem
from chutes_wrappers.host.container_engine.engine import ContainerSpec, ImageFiles, RunningContainer
from chutes_wrappers.host.inspection import (
    describe_concerns,
    find_home,
    find_refused_changes,
    find_writable_paths,
    inspect_image,
    parse_tcp_ports,
)

REFERENCE = "registry.example:5000/team/service@sha256:" + "ab" * 32
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
DEBIAN_12 = {
    "/bin/sh": b"",
    LIBC: b"\0\x7fELF GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\nCopyright",
    "/usr/bin/apt-get": b"",
    "/etc/passwd": b"root:x:0:0:root:/root:/bin/bash\napp:x:1001:1001::/home/app:/bin/sh\nodd:x\nbare:x:1002:1002:::\n",
}


@dataclass
class Image:
    """A fake engine with one image."""

    config: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    extra: Mapping[str, bytes] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def inspect_image(self, reference: str) -> Mapping[str, object]:
        return {"Os": "linux", "Architecture": "amd64", "Id": "sha256:1d", "Config": self.config, **self.attributes}

    @contextlib.contextmanager
    def open_files(self, reference: str) -> Iterator[ImageFiles]:
        yield self

    def run(self, spec: ContainerSpec) -> contextlib.AbstractContextManager[RunningContainer]:
        raise AssertionError("inspection runs nothing")

    def read(self, path: str) -> bytes | None:
        return None if path in self.without else {**DEBIAN_12, **self.extra}.get(path)

    def exists(self, path: str) -> bool:
        return self.read(path) is not None


def inspect_config(**config: Any) -> LaunchSpec:
    return inspect_image(Image(config), REFERENCE)


def test_the_launch_facts_of_an_image_are_read() -> None:
    spec = inspect_image(
        Image(
            {
                "Entrypoint": ["/start.sh"],
                "Cmd": ["serve", "--fast"],
                "WorkingDir": "/srv",
                "User": "app",
                "Env": ["PATH=/usr/bin:/bin", "FORMULA=a=b", "EMPTY="],
                "ExposedPorts": {"9090/tcp": {}, "80/tcp": {}, "53/udp": {}, "7000": {}},
                "Volumes": {"/data": {}},
                "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"]},
            },
            attributes={"RepoDigests": [REFERENCE]},
        ),
        REFERENCE,
    )
    assert spec == LaunchSpec(
        reference=REFERENCE,
        digest="sha256:" + "ab" * 32,
        entrypoint=("/start.sh",),
        cmd=("serve", "--fast"),
        working_dir="/srv",
        user="app",
        home="/home/app",
        environment={"PATH": "/usr/bin:/bin", "FORMULA": "a=b", "EMPTY": ""},
        exposed_ports=(80, 7000, 9090),
        volumes=("/data",),
        health_check=("CMD-SHELL", "curl -f localhost"),
    )


def test_an_empty_config_gets_dockers_defaults() -> None:
    spec = inspect_image(Image(attributes={"Config": None}), REFERENCE)
    assert (spec.argv, spec.working_dir, spec.home, spec.digest) == ((), "/", "/root", "sha256:1d")


def test_a_command_in_shell_form_is_an_argv_like_any_other() -> None:
    assert inspect_config(Cmd=["/bin/sh", "-c", "perl /srv/serve.pl"]).argv == ("/bin/sh", "-c", "perl /srv/serve.pl")


def test_a_relative_working_folder_starts_at_the_root() -> None:
    assert inspect_config(WorkingDir="app").working_dir == "/app"


def test_the_home_variable_takes_precedence_over_the_account() -> None:
    assert inspect_config(User="app", Env=["HOME=/elsewhere"]).home == "/elsewhere"


@pytest.mark.parametrize(
    ("user", "home"),
    [
        ("", "/root"),
        ("root", "/root"),
        ("0:0", "/root"),
        ("app", "/home/app"),
        ("app:staff", "/home/app"),
        ("1001", "/home/app"),
        ("1001:1001", "/home/app"),
        ("bare", "/"),
        ("4711", "/"),
        ("nobody-there", "/"),
    ],
)
def test_the_home_folder_is_that_of_the_images_user(user: str, home: str) -> None:
    assert find_home(user, DEBIAN_12["/etc/passwd"]) == home


def test_root_has_a_home_without_a_passwd_file() -> None:
    assert find_home("", b"") == "/root"


@pytest.mark.parametrize(
    ("image", "reason", "advice"),
    [
        (Image(attributes={"Architecture": "arm64"}), "linux/arm64", "linux/amd64 variant"),
        (Image(attributes={"Os": "windows"}), "windows/amd64", "linux/amd64 variant"),
        (Image(without=("/bin/sh",)), "no shell", "variant with a shell"),
        (Image(without=(LIBC,), extra={"/lib/ld-musl-x86_64.so.1": b""}), "musl", "Debian or Ubuntu variant"),
        (Image(extra={LIBC: b"GNU C Library (Debian GLIBC 2.31-13) stable release version 2.31.\n"}), "2.31", "Debian 12"),
        (Image(extra={LIBC: b"GNU C Library (Ubuntu GLIBC 2.31-0ubuntu9) stable release version 2.31."}), "2.31", "22.04"),
        (Image(without=(LIBC,)), "glibc is missing", "Debian 12"),
        (Image(without=("/usr/bin/apt-get",)), "neither Python", "Debian 12"),
        (Image(without=("/usr/bin/apt-get",), extra={"/usr/bin/python3.11": b""}), "no OpenSSL 3", "Debian 12"),
    ],
)  # fmt: skip
def test_an_image_that_cannot_run_is_rejected_with_reason_and_next_step(image: Image, reason: str, advice: str) -> None:
    with pytest.raises(UnsupportedImage) as caught:
        inspect_image(image, REFERENCE)
    assert caught.value.where == REFERENCE
    assert reason in caught.value.what
    assert advice in str(caught.value.next_step)


@pytest.mark.parametrize(
    "image",
    [
        Image(extra={LIBC: b"GNU C Library (GNU libc) stable release version 2.34.\n"}),
        Image(without=(LIBC,), extra={"/lib64/libc.so.6": b"GNU C Library (GNU libc) stable release version 3.0.\n"}),
        Image(without=("/usr/bin/apt-get",), extra={"/usr/bin/microdnf": b""}),
        Image(
            without=("/usr/bin/apt-get",),
            extra={"/usr/local/bin/python3.10": b"", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3": b""},
        ),
        Image(without=("/bin/sh",), extra={"/usr/bin/sh": b""}),
    ],
)
def test_an_image_that_can_run_is_accepted(image: Image) -> None:
    assert inspect_image(image, REFERENCE).reference == REFERENCE


def test_an_ordinary_image_has_no_concerns() -> None:
    assert describe_concerns(LaunchSpec(cmd=("serve",), exposed_ports=(9090,))) == ()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (LaunchSpec(), "ENTRYPOINT"),
        (LaunchSpec(cmd=("x",), user="app"), "runs as app"),
        (LaunchSpec(cmd=("x",), volumes=("/data",)), "VOLUME /data"),
        (LaunchSpec(cmd=("x",), exposed_ports=(80,)), "port 80"),
        (LaunchSpec(cmd=("x",), exposed_ports=(8000,)), "port 8000"),
        (LaunchSpec(cmd=("x",), exposed_ports=(8001,)), "port 8001"),
        (LaunchSpec(cmd=("x",), exposed_ports=(8002,)), "port 8002"),
    ],
)
def test_each_concern_is_one_sentence(spec: LaunchSpec, words: str) -> None:
    (concern,) = describe_concerns(spec)
    assert words in concern


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], ()),
        ("C /srv, A /srv/log.txt", ("/srv",)),
        ("C /root, A /root/.cache, A /root/.cache/x, A /root/.cache/x/y", ("/root/.cache",)),
        ("C /root, C /root/.cache, A /root/.cache/x", ("/root/.cache",)),
        (
            "C /opt, A /opt/state, C /usr, C /usr/share, A /usr/share/state, A /var/state",
            ("/opt/state", "/usr/share", "/var"),
        ),
        ("C /etc, C /etc/nginx, C /etc/nginx/nginx.conf", ("/etc/nginx", "/etc/nginx/nginx.conf")),
        ("C /etc, C /etc/issue", ("/etc/issue",)),
        ("C /run, A /run/nginx.pid, C /var, C /var/lib, A /var/lib/x", ("/run", "/var/lib")),
        ("C /srv, D /srv/old.txt", ("/srv",)),
        ("C /srv, C /srv/state.db", ("/srv", "/srv/state.db")),
        ("A /data", ("/data",)),
        ("A /data, A /data/a, A /data/a/b", ("/data",)),
        ("C /var, C /var/lib, C /var/lib/x, A /var/lib/x/1, C /var/log, A /var/log/2", ("/var/lib/x", "/var/log")),
    ],
)
def test_written_files_give_the_folders_that_must_be_writable(changes: str, expected: tuple[str, ...]) -> None:
    assert find_writable_paths(parse_changes(changes)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        "C /tmp, A /tmp/x, A /cache, A /cache/m, A /.dockerenv, C /dev, A /dev/x, C /proc, C /sys",
        "C /etc, C /etc/hosts, C /etc/hostname, C /etc/resolv.conf, A /etc/mtab, C /etc/ld.so.cache",
        "C /srv, A /srv/__pycache__, A /srv/__pycache__/service.cpython-311.pyc",
        "C /usr, C /usr/bin, A /usr/bin/nvidia-smi, C /usr/lib, C /usr/lib/x86_64-linux-gnu, "
        "A /usr/lib/x86_64-linux-gnu/libcuda.so.1, A /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1, "
        "A /usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0, C /run, A /run/nvidia-persistenced",
        "C /usr, C /usr/lib64, A /usr/lib64/libcuda.so, A /usr/lib64/libnvidia-ptxjitcompiler.so.1",
        "C /usr, C /usr/lib, A /usr/lib/firmware, A /usr/lib/firmware/nvidia, A /usr/lib/firmware/nvidia/gsp.bin",
    ],
)
def test_files_of_the_engine_and_the_gpu_runtime_are_excluded(changes: str) -> None:
    assert find_writable_paths(parse_changes(changes)) == ()


def test_paths_with_a_similar_prefix_are_not_excluded() -> None:
    changes = "A /tmpfiles, C /opt, C /opt/lib, A /opt/lib/libcudart.so.12, C /etc, A /etc/hosts.allow"
    assert find_writable_paths(parse_changes(changes)) == ("/etc/hosts.allow", "/opt/lib", "/tmpfiles")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ("C /root, A /root/app.db", ("/root/app.db",)),
        ("A /app.log", ("/app.log",)),
        ("C /etc, C /etc/passwd, C /etc/shadow", ("/etc/passwd", "/etc/shadow")),
        ("C /usr, C /usr/bin, A /usr/bin/tool, C /usr/bin/python3", ("/usr/bin/python3", "/usr/bin/tool")),
        ("C /etc, D /etc/motd", ("/etc/motd",)),
        ("C /opt, C /opt/chutes-wrappers, A /opt/chutes-wrappers/x", ("/opt/chutes-wrappers/x",)),
        ("C /srv, A /srv/a\nb", ()),
        ("A /a\nb, A /a\nb/c", ("/a\nb",)),
    ],
)
def test_changes_that_would_open_the_system_are_refused_and_listed(changes: str, refused: tuple[str, ...]) -> None:
    parsed = parse_changes(changes)
    assert find_refused_changes(parsed, lambda path: False) == refused
    assert not {*refused} & {*find_writable_paths(parsed, lambda path: False)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["added", "changed", "deleted"]),
            st.builds(
                str.__add__, st.sampled_from([*SYSTEM_FOLDERS[1:], *SYSTEM_TREES]), st.sampled_from(["", "/x", "/x/y"])
            ),
        )
    )
)
def test_no_discovered_path_is_the_systems(changes: list[tuple[str, str]]) -> None:
    assert [path for path in find_writable_paths(changes) if find_writable_path_problem(path)] == []


def parse_changes(changes: str) -> list[tuple[str, str]]:
    kinds = {"A": "added", "C": "changed", "D": "deleted"}
    return [(kinds[entry[0]], entry[2:]) for entry in changes.split(", ")] if changes else []


# A small model of a container: root changes files, the engine returns the diff, and uid 1000 repeats the changes.
NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=2, max_size=4).map(lambda names: "/" + "/".join(names))
# Each path once: a path that was created and deleted again leaves no trace in the diff.
WORK = st.dictionaries(PATHS, st.sampled_from(["write", "replace", "delete"]), max_size=8)


class WriteDenied(Exception):
    pass


class Tree:
    """``folders`` and ``files`` of an image; ``owned`` are the paths that uid 1000 may write (None: the user is root)."""

    def __init__(self, files: frozenset[str], owned: set[str] | None) -> None:
        self.files = {path for path in files if not any(other.startswith(path + "/") for other in files)}
        self.original_files = frozenset(self.files)
        self.folders = {"/"}.union(*map(list_ancestors, self.files)) if self.files else {"/"}
        self.owned = owned
        self.touched: set[str] = set()
        if owned:  # the recipe creates missing folders
            for path in owned - self.files:
                self.folders |= {path, *list_ancestors(path)}

    def do(self, operation: str, path: str) -> None:
        if path in self.folders or any(above in self.original_files for above in list_ancestors(path)):
            return  # fails for every user, or replaces a file by a folder
        if operation == "write" and path in self.files:
            self.use(path)
            return
        if operation == "delete":
            if path in self.files:
                self.use(posixpath.dirname(path))
                self.files.remove(path)
            return
        for folder in sorted(list_ancestors(path) - self.folders, key=len):
            self.create(folder)
            self.folders.add(folder)
        self.create(path)
        self.files.add(path)

    def create(self, path: str) -> None:
        self.use(posixpath.dirname(path))
        self.touched.add(path)
        if self.owned is not None:
            self.owned.add(path)

    def use(self, path: str) -> None:
        if self.owned is not None and path not in self.owned:
            raise WriteDenied(path)
        self.touched.add(path)


def list_ancestors(path: str) -> set[str]:
    folders = {"/"}
    while path != "/":
        path = posixpath.dirname(path)
        folders.add(path)
    return folders


def compute_engine_diff(before: Tree, after: Tree) -> list[tuple[str, str]]:
    old, new = before.files | before.folders, after.files | after.folders
    changes = dict.fromkeys(new - old, "added")
    deleted = {path for path in old - new if posixpath.dirname(path) in new}
    changes |= dict.fromkeys(deleted, "deleted")
    # A folder whose content was created and deleted is not listed.
    for path in (after.touched & after.files) | set(changes):
        for changed in {path, *list_ancestors(path)}:
            changes.setdefault(changed, "changed")
    return [(kind, path) for path, kind in sorted(changes.items()) if path != "/"]


@given(st.frozensets(PATHS, max_size=6), WORK)
def test_with_these_paths_writable_uid_1000_can_do_what_root_did(
    files: frozenset[str], operations: dict[str, str]
) -> None:
    before, root = Tree(files, None), Tree(files, None)
    for path, operation in operations.items():
        root.do(operation, path)
    writable_paths = find_writable_paths(compute_engine_diff(before, root))
    instance = Tree(files, set(writable_paths))
    for path, operation in operations.items():
        instance.do(operation, path)


@given(st.lists(st.tuples(st.sampled_from(["added", "changed", "deleted"]), PATHS)))
def test_writable_paths_are_few_stable_and_never_the_root(changes: list[tuple[str, str]]) -> None:
    writable_paths = find_writable_paths(changes)
    assert writable_paths == tuple(sorted(set(writable_paths)))
    assert writable_paths == find_writable_paths(reversed(changes))
    assert "/" not in writable_paths
    assert len(writable_paths) <= 2 * len(changes)
    added = {path for kind, path in changes if kind == "added"}
    assert not [
        path for path in writable_paths if posixpath.dirname(path) in added and path not in list_parents(changes)
    ]


def list_parents(changes: list[tuple[str, str]]) -> set[str]:
    return {posixpath.dirname(path) for _, path in changes}


@pytest.mark.parametrize(
    "libc", [b"GNU C Library x version " + b"9" * 5000 + b".36", b"GNU C Library " + b"x" * 9999 + b" version 2.36."]
)
def test_a_hostile_libc_is_searched_in_bounded_time_and_names_no_version(libc: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="glibc is"):
        inspect_image(Image(extra={LIBC: libc}), REFERENCE)


def test_overlapping_ranges_of_exposed_ports_are_read_once() -> None:
    exposed = [f"{first:05}-99999/tcp" for first in range(60_000, 0, -1)]
    assert parse_tcp_ports(exposed) == tuple(range(1, 65536))
    assert parse_tcp_ports(["5-7", "70000", "6-9/tcp", "3", "9-1", "53/udp"]) == (3, 5, 6, 7, 8, 9, 70000)
