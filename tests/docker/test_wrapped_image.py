"""What the recipe promises, seen in a built image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario, run_command

from . import bases

pytestmark = pytest.mark.docker

PATHS = "import json, sys, tools; print(json.dumps([sys.path, tools.__file__]))"


@pytest.fixture(scope="module")
def wrapped(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A built image whose base was left as somebody found it, and has an /app with a ``tools`` package of its own."""
    scenario = Scenario(
        tmp_path_factory.mktemp("image"),
        "left-alone",
        bases.image("left-alone"),
        [9090],
        image_arguments="writable_paths=('/models',)",
    )
    scenario.discover()
    scenario.build()
    return scenario


def inside(scenario: Scenario, *argv: str, user: str = "1000:1000") -> str:
    """What a command prints in the built image."""
    command = ["docker", "run", "--rm", "--user", user, "--entrypoint", argv[0], scenario.image, *argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_full_package_list_is_there(wrapped: Scenario) -> None:
    for name in ("cmake", "git", "curl", "clinfo", "uv", "python", "pip", "chutes"):
        assert inside(wrapped, "sh", "-c", f"command -v {name}")
    libraries = inside(wrapped, "sh", "-c", "ls /usr/lib/x86_64-linux-gnu")
    for library in ("libclblast.so", "libOpenCL.so", "libmpi.so", "libcrypto.so.3"):
        assert library in libraries


def test_user_chutes_is_uid_1000_in_a_folder_of_its_own(wrapped: Scenario) -> None:
    assert inside(wrapped, "sh", "-c", "whoami; id -u; id -g; pwd; touch /app/mine && ls /app/mine").splitlines() == [
        "chutes",
        "1000",
        "1000",
        "/app",
        "/app/mine",
    ]


def test_our_package_comes_first_and_the_seeds_folders_last(wrapped: Scenario) -> None:
    # As `chutes` itself starts: its script's folder is first on the path, not the current one.
    path, tools = json.loads(inside(wrapped, "python", "-I", "-c", PATHS))
    assert path[0] == "/opt/chutes-wrappers/lib"
    assert path[-2:] == ["/app", "/srv"]
    assert tools.startswith("/opt/chutes-wrappers/lib/")


def test_the_vendors_python_sees_the_vendors_tools(wrapped: Scenario) -> None:
    output_text = inside(wrapped, "/usr/bin/python3", "-c", "from tools import greeting; print(greeting.WORDS)")
    assert output_text == "vendor tools"


def test_what_a_link_leads_to_and_an_old_home_belong_to_the_instances_user(wrapped: Scenario) -> None:
    assert inside(wrapped, "sh", "-c", "touch /models/new /home/chutes/old && ls /mnt/later/models") == "new"


def test_verification_sees_a_path_that_a_later_layer_took_away(wrapped: Scenario) -> None:
    module = wrapped.module.read_text()
    try:
        later = "image.set_user('root').run_command('chown 0:0 /mnt/later/models').set_user('chutes')\nchute = Chute("
        wrapped.module.write_text(module.replace("chute = Chute(", later))
        done = run_command("--build", str(wrapped.module), "--local", "--yes")
    finally:
        wrapped.module.write_text(module)
    assert done.returncode == 1
    assert "failed: the writable paths of the recipe are still writable" in done.stdout + done.stderr
    assert "| /models\n" in done.stdout + done.stderr


def test_a_failed_stage_of_the_forge_is_named_and_leaves_no_image_of_its_stages(wrapped: Scenario) -> None:
    module = wrapped.module.read_text()
    try:
        later = "image.set_user('root').run_command('rm -r /usr/local/share/man').set_user('chutes')\nchute = Chute("
        wrapped.module.write_text(module.replace("chute = Chute(", later))
        done = run_command("--build", str(wrapped.module), "--local", "--yes")
    finally:
        wrapped.module.write_text(module)
    assert done.returncode == 1
    assert f"{wrapped.image}: the forge would fail at its stage 'system folders'" in done.stderr
    assert "chmod: cannot access '/usr/local/share/man'" in done.stderr
    assert "Next: keep all of /usr/local/lib" in done.stderr
    assert "is ready" not in done.stderr
    assert subprocess.run(["docker", "image", "inspect", f"{wrapped.image}-forge"], capture_output=True).returncode == 1


@pytest.mark.alone
def test_a_failed_step_leaves_no_container(wrapped: Scenario) -> None:
    module = wrapped.module.read_text()
    before = containers()
    try:
        wrapped.module.write_text(module.replace("chute = Chute(", "image.run_command('exit 3')\nchute = Chute("))
        done = run_command("--build", str(wrapped.module), "--local", "--yes")
    finally:
        wrapped.module.write_text(module)
    assert done.returncode == 1
    assert "exit 3" in done.stdout + done.stderr
    assert containers() == before


def containers() -> set[str]:
    """The ids of every container of the engine."""
    ids = subprocess.run(["docker", "ps", "-aq"], capture_output=True, text=True, check=True).stdout
    return set(ids.split())


def test_no_package_cache_and_no_compiler_stay(wrapped: Scenario) -> None:
    find = "find /var/lib/apt/lists /root/.cache -mindepth 1 2>/dev/null || true"
    assert inside(wrapped, "sh", "-c", find, user="0") == ""
    assert inside(wrapped, "sh", "-c", "command -v gcc || echo none") == "none"
    assert inside(wrapped, "sh", "-c", "ls /tmp") == ""


def test_an_update_of_the_sdk_works_as_user_chutes(wrapped: Scenario) -> None:
    script = "pip install -q --no-index --upgrade chutes && pip uninstall -q -y pybase64 && echo updated"
    assert inside(wrapped, "sh", "-c", script).endswith("updated")


def test_the_entrypoint_is_empty_and_the_instance_user_set(wrapped: Scenario, engine: DockerEngine) -> None:
    config = engine.inspect_image(wrapped.image)["Config"]
    assert isinstance(config, dict)
    assert not config["Entrypoint"]
    assert (config["User"], config["WorkingDir"]) == ("chutes", "/app")


def test_a_rebuild_after_editing_only_the_module_rebuilds_no_recipe_layer(wrapped: Scenario) -> None:
    # Never the same edit twice: an engine that has seen it would take the module's own layer from its cache too.
    wrapped.module.write_text(f"{wrapped.module.read_text()}\n# edited {uuid4()}\n")
    output_text = wrapped.run("--build", "--local", "--debug")
    # The forge's stages come after it, in every build.
    steps = output_text.partition("✓ built ")[0].split("Step ")[1:]
    rebuilt = [step.splitlines()[0] for step in steps if "Using cache" not in step and " FROM " not in step]
    # The SDK's own line comes after the recipe; an earlier failed build of its image may have taken it from the cache.
    instructions = [step.partition(" : ")[2] for step in rebuilt]
    assert [each for each in instructions if not each.startswith("RUN pip install chutes==")] == [
        f"ADD {wrapped.module.name} /app/{wrapped.module.name}"
    ]


def test_slim_leaves_out_what_only_compiles(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "slim", bases.image("no-python"), [9090], image_arguments="slim=True")
    scenario.discover()
    scenario.build()
    assert inside(scenario, "sh", "-c", "command -v cmake || echo none") == "none"
    assert inside(scenario, "sh", "-c", "command -v curl") == "/usr/bin/curl"
