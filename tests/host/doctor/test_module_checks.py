"""The images that a manifest is valid for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from chutes_wrappers.core.errors import ImageMissing, WrapperError
from chutes_wrappers.core.overruled_rules import record_overruled
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.doctor import module_checks
from chutes_wrappers.host.preflight.problem import Problem

MODULE = 'CHUTE_NAME = "case"\nCHUTE_TAG = "v1"\nCHUTE_BASE_IMAGE = "vendor/case:1"\nSERVICE_PORTS = [9000]\n'
FILES = {"/bin/sh": b"", "/usr/bin/apt-get": b"", "/lib/libc.so.6": b"GNU C Library (X) version 2.36"}
IMAGE = {"Id": "sha256:id", "RepoDigests": ["a.example.com/case@sha256:a", "b.example.com/case@sha256:b"]}


class Engine:
    def inspect_image(self, reference: str) -> Mapping[str, Any]:
        return IMAGE

    find_image = inspect_image

    @contextlib.contextmanager
    def open_files(self, reference: str) -> Iterator[Engine]:
        yield self

    def read(self, path: str) -> bytes | None:
        return FILES.get(path)

    def exists(self, path: str) -> bool:
        return path in FILES


@pytest.mark.parametrize(
    ("digest", "is_another"), [("sha256:id", False), ("sha256:b", False), ("", False), ("sha256:else", True)]
)
def test_an_image_is_the_same_whatever_registry_it_was_pushed_to(
    digest: str, is_another: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_built(*_: Any, **__: Any) -> None:
        raise WrapperError("nothing is built") from ImageMissing("none")

    monkeypatch.setattr(module_checks, "check_image_freshness", not_built)
    image = {"reference": "vendor/case:1", "digest": digest}
    (tmp_path / "deploy_case.py").write_text(MODULE)
    (tmp_path / "deploy_case.routes.json").write_text(json.dumps({"version": 1, "image": image, "routes": []}))
    findings = [*module_checks.check_modules(tmp_path, cast(DockerEngine, Engine()), [])]
    assert any("is not the image that discovery inspected" in each.found for each in findings) is is_another


def test_a_module_that_was_not_named_is_not_run_and_its_literals_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "ran"
    run_me = f"open({str(ran)!r}, 'w')\n"
    (tmp_path / "deploy_case.py").write_text(f"{MODULE}{run_me}")
    (tmp_path / "deploy_computed.py").write_text(MODULE.replace('"case"', '"ca" + "se"') + run_me)
    (tmp_path / "deploy_same.py").write_text(f"import os\n{MODULE}CHUTE_ENV = dict(os.environ)\n{run_me}")
    no_engine = WrapperError("no engine")
    findings = [*module_checks.check_modules(tmp_path, no_engine, [])]
    assert not ran.exists()
    assert [(each.name, each.found) for each in findings if "manifest" not in each.found] == [
        ("deploy_case.py", "not run: its cords and its settings are not checked"),
        ("deploy_computed.py", "CHUTE_NAME is computed: not run"),
        ("deploy_same.py", "it builds case:v1, and so does deploy_case.py"),
        ("deploy_same.py", "CHUTE_ENV is computed: not run"),
    ]
    fixes = [each.fix for each in findings if each.name == "deploy_computed.py"]
    assert "./deploy.sh --doctor deploy_computed runs it, to check all of it" in fixes


def test_a_failure_names_its_rule_and_is_a_warning_when_that_is_overruled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem(rule="tee-required", what="tee is False", where="Chute(…)", fix="write tee=True")
    monkeypatch.setattr(module_checks, "_find_problems", lambda *_: [problem])
    path = tmp_path / "2case.py"
    path.write_text(MODULE)

    def check() -> list[tuple[str, str]]:
        findings = module_checks.check_modules(tmp_path, WrapperError("no engine"), [path])
        return [(each.severity, each.fix) for each in findings if each.severity != "note"]

    with record_overruled(["module-file"], lambda rule, reason: None):
        ((severity, fix),) = check()
    assert (severity, fix.splitlines()[0]) == ("failure", "write tee=True")
    assert "--allow tee-required lets the platform decide" in fix
    with record_overruled(["module-file", "tee-required"], lambda rule, reason: None):
        assert check() == [("warning", "write tee=True")]


def test_a_named_module_is_run_and_no_other(tmp_path: Path) -> None:
    for name in ("named", "other"):
        source = f"{MODULE}open({str(tmp_path / name)!r}, 'w')\n"
        (tmp_path / f"deploy_{name}.py").write_text(source)
    findings = [*module_checks.check_modules(tmp_path, WrapperError("no engine"), [tmp_path / "deploy_named.py"])]
    assert {each.name for each in findings} == {"deploy_named.py"}
    assert ((tmp_path / "named").exists(), (tmp_path / "other").exists()) == (True, False)
