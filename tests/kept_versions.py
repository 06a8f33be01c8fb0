"""Versions of a chute, deployed by the test's client and kept on this machine, as ``--deploy`` keeps them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from chutes_wrappers.host.deployment_records import keep_deployment
from chutes_wrappers.host.platform_api.objects import parse_chute
from chutes_wrappers.host.staging import Stage
from tests.emulator.api.client import CORD, Client
from tests.scenario import Scenario

NAME, IMAGE = "case-wrapped", "case-wrapped:v1"
ENCODE = {**CORD, "path": "/cw_post/encode", "public_api_path": "/encode", "function": "encode", "passthrough": True}


@dataclass(frozen=True)
class KeptVersions:
    """Deploys versions of the module of ``scenario`` as ``user``, whose home folder is ``home``. Its image must be built.

    ``api_url`` is the URL that the commands use, by default the user's.
    """

    user: Client
    home: Path
    scenario: Scenario
    api_url: str = ""

    def deploy(self, suffix: str = "", *, is_kept: bool = True) -> str:
        """Deploy the module with ``suffix`` at its end, keep it, and return its version."""
        text = self.scenario.module.read_text() + suffix
        response = self.user.deploy(name=NAME, image=IMAGE, code=text, cords=[ENCODE])
        assert response.ok, response.text
        if is_kept:
            self.keep(text)
        version: str = response.json()["version"]
        return version

    def keep(self, text: str) -> None:
        """Keep ``text`` and the manifest as the present version."""
        chute = parse_chute(self.user.get(f"/chutes/{NAME}").json())
        with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, HOME=str(self.home)):
            module = self.scenario.module
            (Path(name) / module.name).write_text(text)
            (Path(name) / self.scenario.manifest.name).write_text(self.scenario.manifest.read_text())
            stage = Stage(
                folder=Path(name), module=module.stem, user_module=module, environment={}, variables={}, paths={}
            )
            definition = {"cords": [ENCODE]}
            api_url = self.api_url or self.user.url
            keep_deployment(stage, chute, definition, source=module, image=IMAGE, api_url=api_url)
