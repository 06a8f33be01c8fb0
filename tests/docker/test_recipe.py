"""Recipe files run in a bare container, where that shows more than a whole build."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from tests.scenario import ROOT

from . import bases

pytestmark = pytest.mark.docker
RECIPE = ROOT / "chutes_wrappers" / "sdk" / "recipe"


def run_script(engine: DockerEngine, script: str) -> str:
    """What a root shell prints in an image that nobody prepared; ``/recipe`` holds the recipe."""
    spec = ContainerSpec(
        image=bases.image("python3-no-pip"),
        entrypoint=["/bin/sh", "-euc"],
        command=[f"mkdir -p /opt/chutes-wrappers; {script}"],
        volumes=[f"{RECIPE}:/recipe:ro"],
    )
    with engine.run(spec) as container:
        code = container.wait(30)
        assert code == 0, container.read_tail()
        return container.read_tail()


@pytest.mark.parametrize(("uid", "owner", "touched"), [(1005, "1000", True), (1000, "1000", False)])
def test_an_old_home_changes_hands_only_where_it_must(
    engine: DockerEngine, uid: int, owner: str, touched: bool
) -> None:
    script = (
        f"echo 'chutes:x:{uid}:{uid}::/home/chutes:/bin/sh' >>/etc/passwd; mkdir /home/chutes; echo x >/home/chutes/old; "
        f"chown -R {uid}:{uid} /home/chutes; stat -c %z /home/chutes/old >/before; sh /recipe/user.sh; "
        "stat -c %u /home/chutes/old; stat -c %z /home/chutes/old | cmp -s - /before && echo alone; id -u chutes"
    )
    assert run_script(engine, script).splitlines() == [owner, *([] if touched else ["alone"]), "1000"]


def test_links_are_followed_and_stay_within_reach(engine: DockerEngine) -> None:
    script = (
        "mkdir -m 700 /closed /far; ln -s /far/models /closed/models; ln -s /dev/stdout /closed/log; "
        "sh /recipe/writable.sh /closed/models /closed/log; stat -c '%u %F' /closed/models /far/models; "
        "setpriv --reuid 1000 --regid 1000 --clear-groups touch /closed/models/new; ls /far/models; "
        "cat /opt/chutes-wrappers/writable"
    )
    assert run_script(engine, script).splitlines() == ["0 symbolic link", "1000 directory", "new", "/closed/models"]


@pytest.mark.parametrize("option", ["", "--tree", "--optional"])
def test_a_link_that_leads_to_the_system_is_refused(engine: DockerEngine, option: str) -> None:
    script = (
        "ln -s /etc /data; ln -s / /all; ln -s ../root /srv/home; ln -s /all/usr/bin /tools; mv /opt /far; ln -s far /opt; "
        "ln -s ../passwd /etc/apt/state; "
        f"for path in /data /all /srv/home /tools /far /etc/apt/state /data/../etc /opt/chutes-wrappers / //etc /usr/; do "
        f'code=0; sh /recipe/writable.sh {option} "$path" 2>/tmp/said || code=$?; '
        'echo "$code $(head -n 1 /tmp/said)"; done; stat -c %u / /etc /root /usr/bin /etc/passwd /far; '
        "[ ! -e /opt/chutes-wrappers/writable ] || cat /opt/chutes-wrappers/writable"
    )
    targets = {
        "/data": "/etc",
        "/all": "/",
        "/srv/home": "/root",
        "/tools": "/usr/bin",
        "/far": "/far",
        "/etc/apt/state": "/etc/passwd",
        "/data/../etc": "/etc",
        "/opt/chutes-wrappers": "/far/chutes-wrappers",
        "/": "/",
        "//etc": "/etc",
        "/usr/": "/usr",
    }
    code = 0 if option == "--optional" else 1
    refusals = [
        f"{code} chutes-wrappers: {path} cannot be made writable: it leads to {target}, which belongs to the system"
        for path, target in targets.items()
    ]
    assert run_script(engine, script).splitlines() == [*refusals, *["0"] * 6]


def test_links_inside_a_tree_are_not_followed(engine: DockerEngine) -> None:
    script = (
        "mkdir -p /data/models; ln -s /etc/passwd /data/users; ln -s /usr/bin /data/models/bin; "
        "sh /recipe/writable.sh --tree /data --tree /root/.cache /run; "
        "stat -c %u /data/models /root/.cache /run /etc/passwd /usr/bin /usr/bin/env /root; "
        "setpriv --reuid 1000 --regid 1000 --clear-groups touch /data/models/new /root/.cache/new"
    )
    assert run_script(engine, script).splitlines() == ["1000"] * 3 + ["0"] * 4


def test_a_closed_folder_of_the_system_becomes_readable_and_stays_roots(engine: DockerEngine) -> None:
    script = (
        "chmod 700 /root; echo 'NAME = 1' >/root/settings.py; sh /recipe/writable.sh --optional /root 2>&1; "
        "stat -c %u:%a /root; cd /root; "
        'setpriv --reuid 1000 --regid 1000 --clear-groups python3 -c \'import settings; open("x", "w")\' 2>&1 | tail -n 1'
    )
    refusal, owner, failure = run_script(engine, script).splitlines()
    assert "/root cannot be made writable" in refusal
    assert owner == "0:705"
    assert failure == "PermissionError: [Errno 13] Permission denied: 'x'"


@pytest.mark.parametrize(
    ("root", "members"),
    [
        ("root:x:0:", "root:x:0:chutes"),
        ("root:x:0:alice", "root:x:0:alice,chutes"),
        ("root:x:0:alice,chutes", "root:x:0:alice,chutes"),
        ("wheel:x:10:", "root:x:0:chutes"),  # a vendor's file without the group
    ],
)
def test_user_chutes_is_in_group_root_without_usermod(engine: DockerEngine, root: str, members: str) -> None:
    script = (
        f"rm /usr/sbin/usermod; printf '{root}\\nusers:x:100:' >/etc/group; sh /recipe/user.sh; sh /recipe/user.sh; "
        "grep ^root: /etc/group; grep -c . /etc/group; id -Gn chutes"
    )
    lines = 4 if root.startswith("wheel") else 3
    assert run_script(engine, script).splitlines() == [members, str(lines), "chutes root"]


def test_the_folders_that_the_forge_opens_exist_and_are_of_group_root(engine: DockerEngine) -> None:
    """As in a slim image: the folder for manuals is gone, another is a link into nowhere, and a third is the staff's."""
    script = (
        "rm -rf /usr/local/share /usr/local/bin; ln -s /opt/tools/bin /usr/local/bin; chgrp staff /usr/local/lib; "
        "chmod 2775 /usr/local/lib; sh /recipe/user.sh; stat -L -c '%F %g' /usr/local/lib /usr/local/bin "
        "/usr/local/share /usr/local/share/man /opt/tools/bin; stat -c %a /usr/local/lib"
    )
    assert run_script(engine, script).splitlines() == [*["directory 0"] * 5, "2775"]


def test_a_file_in_place_of_a_folder_is_named(engine: DockerEngine) -> None:
    script = "rm -rf /usr/local/share/man; touch /usr/local/share/man; sh /recipe/user.sh 2>&1 || echo failed"
    assert run_script(engine, script).splitlines()[-2:] == [
        "chutes-wrappers: /usr/local/share/man is not a folder, which the platform's forge needs",
        "failed",
    ]
