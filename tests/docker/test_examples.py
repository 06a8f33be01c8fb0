"""The examples as they stand: each image is built, wrapped, deployed to the emulator and called."""

from __future__ import annotations

import json

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import run_command

from . import bases

pytestmark = pytest.mark.docker

# Module → the folder of its image, and routes with what their answers must be.
EXAMPLES = {
    "deploy_example": (
        "morse",
        {"POST /speak": "audio/wav", "POST /v1/audio/transcriptions": "application/json"},
    ),
    "examples/deploy_gradio_app": (
        "gradio",
        {"POST /tone": "audio/wav", "POST /reverse_sound": "application/json", "POST /countdown": "text/event-stream"},
    ),
    "examples/deploy_completions": (
        "completions",
        {"POST /v1/chat/completions": "text/event-stream", "POST /v1/embeddings": "application/json"},
    ),
    "examples/deploy_search": (
        "search",
        {
            "GET /search": "application/json",
            "GET /export": "application/x-ndjson",
            "POST /documents/remove": "application/json",
        },
    ),
    "examples/deploy_thumbnail": (
        "thumbnail",
        {"POST /thumbnail": "image/png", "POST /grey": "image/png"},
    ),
}


# Wrapped and called as they stand by test_readme.py and test_gradio_image.py, too.
ELSEWHERE = ("deploy_example", "examples/deploy_gradio_app")


@pytest.mark.parametrize(
    "module",
    [pytest.param(name, marks=[pytest.mark.exhaustive] if name in ELSEWHERE else []) for name in EXAMPLES],
)
def test_an_example_works_on_the_platform_unchanged(engine: DockerEngine, module: str) -> None:
    folder, expected = EXAMPLES[module]
    bases.example(folder)
    done = run_command("--emulate", module, "--check", "--json", "--watch", "0", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["good"]
    assert result["guard"]["good"], result["guard"]
    routes = {route["route"]: route for route in result["routes"]}
    assert {name: routes[name]["media_type"] for name in expected} == expected
    assert {routes[name]["status"] for name in expected} == {200}
