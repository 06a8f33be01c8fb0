from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from chutes.image import Image
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import layout, overruled_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.platform_rules import PLATFORM_SDK_VERSION
from chutes_wrappers.sdk.image import _quote_value, build_wrapper_image

from .conftest import ROOT, Loader

MODULE = """
from tools.chute_wrappers import build_wrapper_image
image = build_wrapper_image("tester", "case", "v1", "vendor/thing:1.0", {arguments})
"""
SPEC = LaunchSpec(
    reference="vendor/thing:1.0",
    entrypoint=("/start.sh",),
    working_dir="/srv/data",
    home="/root",
    environment={"PATH": "/opt/venv/bin:/usr/bin:/bin", "PYTHONPATH": "/srv/lib", "PIP_USER": "1"},
    writes=("/var/log/thing", "/root/.cache"),
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "deploy_case.routes.json"
    write_manifest(Manifest(image=SPEC), path)
    return path


def dockerfile(load: Loader, arguments: str = "") -> list[str]:
    image = load(MODULE.format(arguments=arguments)).image
    assert isinstance(image, Image)
    return str(image).splitlines()


def test_the_image_is_based_on_the_base_image_and_ends_with_the_settings_of_an_instance(
    load_module: Loader, manifest: Path
) -> None:
    lines = dockerfile(load_module)
    assert lines[:2] == ["FROM vendor/thing:1.0", "USER root"]
    assert lines[-3:] == ["USER chutes", "WORKDIR /app", "ENTRYPOINT []"]


def test_path_has_the_folders_of_the_sdk_the_vendor_and_the_system(load_module: Loader, manifest: Path) -> None:
    (path,) = [line for line in dockerfile(load_module) if line.startswith("ENV PATH=")]
    assert path.startswith(f'ENV PATH="{layout.BAKED_VENV}/bin:/opt/venv/bin:/usr/bin:/bin:/usr/local/sbin:')


def test_python_settings_of_the_vendor_do_not_affect_the_sdk(load_module: Loader, manifest: Path) -> None:
    lines = dockerfile(load_module)
    assert 'ENV PYTHONPATH=""' in lines
    assert 'ENV PIP_USER=""' in lines
    assert not any(line.startswith("ENV PYTHONHOME") for line in lines)


def test_written_paths_home_and_working_folder_become_writable(load_module: Loader, manifest: Path) -> None:
    (line,) = [line for line in dockerfile(load_module, "writable_paths=['/da ta']") if "writable.sh" in line]
    assert line.split("writable.sh ")[1] == (
        "'/root/.cache' '/var/log/thing' --optional '/root' --optional '/root/.config' --optional '/root/.local' --optional '/srv/data' "
        "--tree '/da ta'"
    )


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "//",
            "/.",
            "/..",
            "/etc",
            "/etc/",
            "//etc",
            "/etc/.",
            "/srv/../etc",
            "/usr/bin/x",
            "/etc/passwd",
            "/root",
        ),
        *("etc", "", "../etc", "/a\nb", "/a\x1b]0;x", "/dev/shm", "/proc/1", "/opt/chutes-wrappers/lib"),
    ],
)
def test_a_path_of_the_system_is_refused_before_a_build(load_module: Loader, manifest: Path, path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dockerfile(load_module, f"writable_paths=['/data', {path!r}]")
    assert f"writable_paths has {path!r}" in caught.value.what
    assert "writable_paths=('/data'" in str(caught.value.next_step)


def test_a_folder_below_one_of_the_system_stays_possible(load_module: Loader, manifest: Path) -> None:
    paths = ("/root/.cache/", "/usr/share/nginx//html", "/etc/nginx", "/var/lib", "/run", "/opt/app/../state", "/app")
    (line,) = [line for line in dockerfile(load_module, f"writable_paths={paths}") if "writable.sh" in line]
    named = {"/root/.cache", "/usr/share/nginx/html", "/etc/nginx", "/var/lib", "/run", "/opt/state", "/app"}
    assert {part.split("'")[1] for part in line.split("--tree ")[1:]} == named


@pytest.mark.parametrize("value", ["'/data'", "[Path('/data')]", "[1]"])
def test_writable_paths_of_another_type_are_refused(load_module: Loader, value: str) -> None:
    source = f"from pathlib import Path\n{MODULE.format(arguments=f'writable_paths={value}')}"
    with pytest.raises(ConfigurationError, match="write"):
        load_module(source)


@pytest.mark.parametrize("path", ["/", "/root", "/etc/..", "/etc/shadow", "relative", "/a\nb"])
def test_a_manifest_that_would_open_the_system_is_refused(load_module: Loader, tmp_path: Path, path: str) -> None:
    file = tmp_path / "deploy_case.routes.json"
    write_manifest(Manifest(image=SPEC.model_copy(update={"writes": ("/data", path)})), file)
    with pytest.raises(ConfigurationError) as caught:
        dockerfile(load_module)
    assert f"image.writes has {path!r}" in caught.value.what
    assert caught.value.where == str(file)
    assert "--discover" in str(caught.value.next_step)


@pytest.mark.parametrize("folder", ["/", "/etc", "/usr/bin", "/dev", "/nonexistent", "/..", "/opt/chutes-wrappers"])
def test_a_working_folder_or_home_of_the_system_stays_as_it_is(
    load_module: Loader, tmp_path: Path, folder: str
) -> None:
    spec = SPEC.model_copy(update={"writes": (), "home": folder, "working_dir": folder})
    write_manifest(Manifest(image=spec), tmp_path / "deploy_case.routes.json")
    lines = [line for line in dockerfile(load_module) if "writable.sh" in line]
    assert not any(f" '{folder}'" in line.replace("--optional '", "--optional-'") for line in lines)


def test_thousands_of_written_paths_are_split_into_commands_within_the_limit(
    load_module: Loader, tmp_path: Path
) -> None:
    written = tuple(f"/var/lib/thing/{index:06}/{'x' * 40}" for index in range(5000))
    write_manifest(Manifest(image=SPEC.model_copy(update={"writes": written})), tmp_path / "deploy_case.routes.json")
    lines = [line for line in dockerfile(load_module) if "writable.sh" in line]
    assert max(len(line.encode()) for line in lines) < 128 * 1024
    assert sum(line.count("/var/lib/thing/") for line in lines) == 5000


def test_the_package_and_the_manifest_go_into_the_image(load_module: Loader, manifest: Path) -> None:
    lines = dockerfile(load_module)
    for source in layout.PACKAGE_SOURCES:
        assert f"ADD {source} {layout.BAKED_LIB}/{source}" in lines
    assert f"ADD deploy_case.routes.json {layout.BAKED_MANIFEST}" in lines


def test_recipe_layers_come_before_everything_that_changes(load_module: Loader, manifest: Path) -> None:
    lines = dockerfile(load_module)
    recipe = max(index for index, line in enumerate(lines) if "sdk.sh" in line or "user.sh" in line)
    assert all(index > recipe for index, line in enumerate(lines) if line.startswith("ADD") and "recipe" not in line)


def test_only_directives_that_every_builder_knows_are_used(load_module: Loader, manifest: Path) -> None:
    text = "\n".join(dockerfile(load_module))
    for newer in ("--mount", "<<", "--chmod", "--link"):
        assert newer not in text


@pytest.mark.parametrize(
    ("arguments", "python", "extent"), [("", "3.12", "full"), ("slim=True, python_version='3.11'", "3.11", "slim")]
)
def test_the_recipe_gets_the_python_version_the_platforms_sdk_version_and_the_extent(
    load_module: Loader, arguments: str, python: str, extent: str
) -> None:
    (line,) = [line for line in dockerfile(load_module, arguments) if "sdk.sh" in line]
    assert line.endswith(f"/sdk.sh {python} {PLATFORM_SDK_VERSION} {extent}")


@pytest.mark.parametrize(("arguments", "count"), [("", 0), ("cuda_libraries=False", 0), ("cuda_libraries=True", 1)])
def test_libraries_of_cuda_are_registered_only_with_the_option(load_module: Loader, arguments: str, count: int) -> None:
    steps = [line.rpartition("/")[2].partition(" ")[0] for line in dockerfile(load_module, arguments) if ".sh" in line]
    assert steps.count("cuda_libraries.sh") == count
    assert steps[:2] == ["user.sh", "sdk.sh"]


def test_launch_settings_of_the_module_are_baked(load_module: Loader, manifest: Path) -> None:
    lines = dockerfile(load_module, "autostart=False, entrypoint=['/run', '-x'], env={'MODE': 'a b'}")
    (line,) = [line for line in lines if layout.LAUNCH_SETTINGS_VARIABLE in line]
    quoted = line.split("=", 1)[1]
    assert json.loads(json.loads(quoted)) == {"autostart": False, "entrypoint": ["/run", "-x"], "env": ["MODE"]}
    assert 'ENV MODE="a b"' in lines


def test_tracebacks_on_an_instance_show_no_variables(load_module: Loader) -> None:
    lines = dockerfile(load_module)
    assert 'ENV LOGURU_DIAGNOSE="NO"' in lines
    assert {f'ENV {name}="{value}"' for name, value in layout.TRACEBACK_SETTINGS.items()} <= {*lines}


def test_an_overruled_rule_is_baked_and_no_variable_of_the_recipe_reaches_the_service(
    load_module: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(layout.ALLOW_VARIABLE, "tee-required")
    lines = dockerfile(load_module)
    assert f'ENV {layout.ALLOW_VARIABLE}="tee-required"' in lines
    names = {line.removeprefix("ENV ").partition("=")[0] for line in lines if line.startswith("ENV ")}
    assert names - {*layout.RECIPE_VARIABLES, "PATH"} == set()


def test_the_username_is_baked(load_module: Loader) -> None:
    assert 'ENV CHUTES_USERNAME="tester"' in dockerfile(load_module)


def test_directives_can_be_added_to_the_image(load_module: Loader, manifest: Path) -> None:
    source = MODULE.format(arguments="") + 'image = image.add(source="tools", dest="/app/tools").set_user("root")\n'
    assert str(load_module(source).image).splitlines()[-2:] == ["ADD tools /app/tools", "USER root"]


def test_the_same_module_produces_the_same_dockerfile(load_module: Loader, manifest: Path) -> None:
    assert dockerfile(load_module) == dockerfile(load_module)


def test_a_secret_looking_variable_is_warned_about_without_its_value(load_module: Loader, log_lines: list[str]) -> None:
    dockerfile(load_module, "env={'HF_TOKEN': 'hf_canary', 'MODE': 'x'}")
    (warning,) = [line for line in log_lines if "HF_TOKEN" in line]
    assert "MODE" not in warning
    assert not any("hf_canary" in line for line in log_lines)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": "-bad"}, "'-bad'"),
        ({"name": "ab"}, "3 to 65"),
        ({"tag": "v"}, "2 to 33"),
        ({"tag": "a" * 34}, "2 to 33"),
        ({"python_version": "3"}, "python_version '3'"),
        ({"python_version": "3.13"}, "python_version '3.13'"),
        ({"env": {"A": "one\ntwo"}}, "env A"),
        ({"writable_paths": ["relative"]}, "'relative'"),
    ],
)
def test_an_invalid_argument_is_reported_by_name(
    changes: dict[str, Any], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    positional = {"username": "tester", "name": "case", "tag": "v1", "base_image": "vendor/thing:1.0"}
    with pytest.raises(ConfigurationError, match=part.replace("[", "\\[")):
        build_wrapper_image(**{**positional, **changes})


@pytest.mark.parametrize(
    ("variable", "message"), [("CHUTE_NAME", "CHUTE_NAME as the image name: 'Ün'"), ("OTHER", "the image name: 'Ün'")]
)
def test_the_error_names_the_variable_that_the_module_passes(load_module: Loader, variable: str, message: str) -> None:
    source = f"from tools.chute_wrappers import build_wrapper_image\n{variable} = 'Ün'\n"
    with pytest.raises(ConfigurationError, match=f"does not accept {message}"):
        load_module(f"{source}build_wrapper_image('tester', {variable}, 'v1', 'base')\n")


def test_a_build_context_without_our_package_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"\./deploy\.sh --build"):
        build_wrapper_image("tester", "case", "v1", "vendor/thing:1.0")


def test_a_manifest_outside_the_build_context_is_rejected(
    load_module: Loader, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path_factory.mktemp("elsewhere") / "m.json"
    write_manifest(Manifest(image=SPEC), outside)
    monkeypatch.setenv("CHUTES_ROUTE_MANIFEST", str(outside))
    with pytest.raises(ConfigurationError, match=r"m\.json"):
        dockerfile(load_module)


@given(st.text(st.characters(codec="ascii", exclude_characters="\n\r\0")))
def test_a_dockerfile_unquotes_a_quoted_value_to_the_same_value(value: str) -> None:
    # Docker's double quotes know the escapes of the shell's, apart from command substitution.
    if "`" in value:
        return
    result = subprocess.run(["sh", "-c", f"printf %s {_quote_value('A', value)}"], capture_output=True, check=True)
    assert result.stdout.decode() == value


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("env={'THREADS': 4}", "'THREADS'.* is of type int"),
        ("env={'TOKEN': b'canary'}", "'TOKEN'.* is of type bytes"),
        ("env={'A-B': 'canary'}", "'A-B'.* is not a valid variable name"),
        ("env={'': 'canary'}", "''.* is not a valid variable name"),
        ("env={'CHUTES_DEV_MODE': 'canary'}", "CHUTES_DEV_MODE: with it the SDK would run"),
        ("env={'PYTHONFAULTHANDLER': 'canary'}", "PYTHONFAULTHANDLER: with it .* the platform's guard library"),
        ("env={7: 'canary'}", "7.* is not a valid variable name"),
    ],
)
def test_an_invalid_variable_is_reported_without_its_value(load_module: Loader, arguments: str, part: str) -> None:
    with pytest.raises(ConfigurationError, match=part) as caught:
        dockerfile(load_module, arguments)
    assert caught.value.next_step
    assert "canary" not in str(caught.value)


def test_a_variable_that_the_guard_library_does_not_stand_can_be_overruled(
    load_module: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(overruled_rules.VARIABLE, "guard-library")
    lines = dockerfile(load_module, "env={'PYTHONDEVMODE': '1'}")
    assert any(line.startswith("ENV PYTHONDEVMODE=") for line in lines)
