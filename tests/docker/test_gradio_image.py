"""The Gradio example, from its image to calls of the running chute."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import requests

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import ROOT, Scenario

from . import bases

pytestmark = pytest.mark.docker

ENDPOINTS = {"/shout", "/tone", "/reverse_sound", "/countdown"}


def test_the_gradio_example_is_wrapped_unchanged(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "gradio-app", bases.example("gradio"), [7860])
    scenario.module.write_text((ROOT / "examples" / "deploy_gradio_app.py").read_text())
    scenario.discover()
    assert {route.path for route in load_manifest(scenario.manifest).routes if route.gradio} == ENDPOINTS
    scenario.build()
    with scenario.running() as chute:
        assert chute.post("/shout", {"text": "hello", "times": 2}).json() == {"data": ["HELLO! HELLO!"]}
        assert chute.post("/shout", {"data": ["hello", "?"]}).json() == {"data": ["HELLO?"]}
        tone = chute.post("/tone", {"seconds": 0.5})
        assert (tone.headers["Content-Type"], tone.content[:4]) == ("audio/wav", b"RIFF")
        sound = {"filename": "tone.wav", "data": base64.b64encode(tone.content).decode()}
        backwards, seconds = chute.post("/reverse_sound", {"sound": sound}).json()["data"]
        assert (backwards["content_type"], seconds) == ("audio/wav", 0.5)
        refused = chute.post("/shout", {"text": " "})
        assert (refused.status_code, "nothing to shout" in refused.text) == (400, True)
        with requests.post(f"{chute.base_url}/countdown", json={"start": 2}, stream=True, timeout=60) as stream:
            events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith(b"data: ")]
        assert events == [{"data": ["2 …"]}, {"data": ["1 …"]}, {"data": ["lift-off"]}]
