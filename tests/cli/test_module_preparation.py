"""The manifest of a module before its image is built or emulated, and the warnings about the base image."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.cli import module_preparation
from chutes_wrappers.cli.commands import discover
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from tests.host.test_inspection import Image


@pytest.mark.parametrize(("version", "is_warned"), [("12.4.1", True), ("12.8.0", False)])
def test_an_image_with_an_old_cuda_is_named_before_a_build(
    version: str, is_warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discover, "warn_about_losses", lambda *_: None)  # it runs the image
    facts = ModuleFacts(
        path=tmp_path / "deploy_ocr.py",
        chute_name="ocr",
        chute_tag="v1",
        base_image="vendor/ocr:1",
        service_ports=(9000,),
    )
    write_manifest(Manifest(routes=(Route(path="/ocr", port=9000),)), facts.manifest_path)
    engine = Image({"Cmd": ["serve"], "Env": [f"CUDA_VERSION={version}"]})
    manifest = module_preparation.ensure_manifest(facts, engine)
    assert manifest.image is not None
    assert manifest.image.cuda_version == version[:4]
    warning = "the image has CUDA 12.4 (CUDA_VERSION); the platform's GPU, pro_6000 (Blackwell), needs 12.8 or newer"
    assert (warning in " ".join(capsys.readouterr().err.split())) is is_warned
