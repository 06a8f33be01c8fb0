"""The images that a manifest is valid for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from chutes_wrappers.core.errors import ImageMissing, WrapperError
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.doctor import module_checks

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
    monkeypatch.setattr(module_checks, "_find_problems", lambda *_: [])
    image = {"reference": "vendor/case:1", "digest": digest}
    (tmp_path / "deploy_case.py").write_text(MODULE)
    (tmp_path / "deploy_case.routes.json").write_text(json.dumps({"version": 1, "image": image, "routes": []}))
    (finding,) = module_checks.check_module(tmp_path / "deploy_case.py", cast(DockerEngine, Engine()), {})
    assert ("is not the image that discovery inspected" in finding[1]) is is_another
