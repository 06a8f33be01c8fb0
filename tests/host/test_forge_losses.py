"""What the forge removes from an image is said before anything is built (PLATFORM.md, section 1)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.host import forge_losses
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from chutes_wrappers.host.forge_losses import describe_bytecode, describe_losses, describe_overridden_variables
from tests.host.discovery.engines import FakeContainer, FakeEngine

JEMALLOC = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


class Finished(FakeContainer):
    def wait(self, timeout_s: float) -> int:
        self.stop()
        return 0


def find_losses(
    *, preloads: str = "", file_lines: Sequence[str] = (), bytecode: Sequence[str] = (), module: str = ""
) -> tuple[str, ...]:
    container = Finished({}, lines=[*file_lines, "", forge_losses._FILE_END, *bytecode])
    launch = LaunchSpec(environment={"LD_PRELOAD": preloads})
    return describe_losses(FakeEngine(container), "base:1", launch, {"LD_PRELOAD": module})


def test_a_preloaded_library_is_named_with_the_way_to_load_it() -> None:
    assert find_losses(preloads=JEMALLOC) == (
        f"the image preloads {JEMALLOC} (LD_PRELOAD): the forge removes that, so the service runs without it. "
        f'To load it behind the platform\'s guard library, set CHUTE_ENV = {{"LD_PRELOAD": "{JEMALLOC}"}}',
    )


@pytest.mark.parametrize("module", [JEMALLOC, f"/lib/other.so:{JEMALLOC}"])
def test_one_that_the_module_loads_again_is_not_lost(module: str) -> None:
    assert find_losses(preloads=JEMALLOC, module=module) == ()
    assert "preloads /lib/a.so (LD_PRELOAD)" in find_losses(preloads=f"/lib/a.so {JEMALLOC}", module=module)[0]


def test_a_variable_of_the_image_that_the_host_overrides_is_named_with_the_value_that_wins() -> None:
    image = {"HF_HOME": "/models", "NCCL_VERSION": "2.21", "NVIDIA_VISIBLE_DEVICES": "all", "PATH": "/bin"}
    (sentence,) = describe_overridden_variables(image, {})
    assert (
        "the image sets HF_HOME, and so does the platform's host, whose value wins (in the emulator HF_HOME=/cache)"
        in sentence
    )
    assert "CHUTE_ENV" in sentence
    assert describe_overridden_variables(image, {"HF_HOME": "/models"}) == ()


def test_the_file_of_preloads_is_read_without_its_comments() -> None:
    (sentence,) = find_losses(file_lines=["# comment", f"{JEMALLOC} # heap", "/lib/b.so"])
    assert sentence.startswith(f"the image preloads {JEMALLOC} (/etc/ld.so.preload), /lib/b.so (/etc/ld.so.preload): ")


def test_one_setting_loads_all_lost_libraries_in_the_loaders_order_and_what_the_module_loads_already() -> None:
    (sentence,) = find_losses(preloads="/lib/a.so", file_lines=["/lib/b.so"], module="/lib/c.so")
    assert sentence.endswith('set CHUTE_ENV = {"LD_PRELOAD": "/lib/c.so:/lib/a.so:/lib/b.so"}')


@pytest.mark.parametrize(
    ("files", "where"),
    [
        (["/app/engine.pyc"], "/app (1 file)"),
        (["/app/engine/__init__.pyc", "/app/engine/core/run.pyc", "/app/engine/core/x.pyc"], "/app/engine (3 files)"),
        (["/srv/a/x.pyc", "/srv/ab/x.pyc"], "/srv/a (1 file), /srv/ab (1 file)"),
        (
            [
                "/usr/lib/python3/dist-packages/one.pyc",
                "/opt/conda/lib/python3.11/site-packages/vendor/__init__.pyc",
                "/opt/conda/lib/python3.11/site-packages/vendor/deep/er.pyc",
            ],
            "/opt/conda/lib/python3.11/site-packages/vendor (2 files), /usr/lib/python3/dist-packages/one.pyc (1 file)",
        ),
        ([f"/app{n}/x.pyc" for n in range(7)], "/app4 (1 file) and 2 more"),
    ],
)
def test_packages_of_bytecode_only_are_named_and_counted(files: list[str], where: str) -> None:
    (sentence,) = find_losses(bytecode=files)
    assert sentence.startswith("Python code without its source in /")
    assert sentence.endswith(
        f"{where}: the forge deletes every .pyc file, so it cannot run on Chutes. Add the .py files to the base image"
    )


def test_a_hostile_image_takes_neither_time_nor_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    (sentence,) = describe_bytecode(f"/{number}/x.pyc" for number in range(10_000))
    assert "and 9995 more" in sentence
    monkeypatch.setattr(forge_losses, "_LONGEST_OUTPUT", 200)
    lines = [forge_losses._FILE_END, *["/app/lost.pyc"] * 1000]
    assert "(13 files)" in describe_losses(FakeEngine(Finished({}, lines=lines)), "base:1", LaunchSpec(), {})[0]


def test_an_ordinary_image_loses_nothing() -> None:
    assert find_losses() == describe_bytecode([]) == ()


def test_the_files_are_read_once_as_root_without_network() -> None:
    engine = FakeEngine(Finished({}, lines=[]))
    describe_losses(engine, "base:1", LaunchSpec(), {})
    (spec,) = engine.started_specs
    assert (spec.user, spec.network, spec.gpus) == ("0:0", "none", None)


def test_an_image_that_cannot_be_read_is_no_error() -> None:
    class Broken(FakeEngine):
        @contextmanager
        def run(self, spec: ContainerSpec) -> Iterator[FakeContainer]:
            raise WrapperError("no shell")
            yield

    launch = LaunchSpec(environment={"LD_PRELOAD": JEMALLOC})
    assert len(describe_losses(Broken(FakeContainer({})), "base:1", launch, {})) == 1


def test_the_script_lists_bytecode_only_without_its_source(tmp_path: Path) -> None:
    for name in ("lost.pyc", "both.py", "both.pyc", "pkg/__pycache__/x.cpython-312.pyc", "a b/lost too.pyc", "x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    script = forge_losses._SCRIPT.replace("find / ", f"find {tmp_path} ")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    _, _, found = done.stdout.partition(forge_losses._FILE_END)
    assert sorted(found.split("\n")) == ["", "", f"{tmp_path}/a b/lost too.pyc", f"{tmp_path}/lost.pyc"]
