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
