"""What an image declares does not control the terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.hostile_text import ATTACK, show
from tests.scenario import Scenario

from . import bases

pytestmark = pytest.mark.docker
# A service that responds nothing useful, prints ATTACK and writes into its volume.
_SERVICE = f"""
import http.server, pathlib
ATTACK = {ATTACK!r}
print(ATTACK, flush=True)
pathlib.Path("/data", ATTACK.replace("/", "")).write_text("")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(ATTACK, flush=True)
        self.send_error(404)
http.server.HTTPServer(("", 9090), Handler).serve_forever()
"""


def test_an_images_configuration_and_log_control_nothing(engine: DockerEngine, tmp_path: Path) -> None:
    quoted = json.dumps(ATTACK.replace("$", ""))
    one_line = quoted.replace("\\n", "").replace("\\r", "")
    dockerfile = "\n".join(
        (
            f"FROM {bases.image('python-venv')}",
            "COPY service.py /service.py",
            f"LABEL org.opencontainers.image.title={one_line} org.opencontainers.image.version={one_line}",
            f"ENV HOSTILE={one_line}",
            f'VOLUME ["/data", "/var/{one_line[1:-1]}"]',
            f'HEALTHCHECK CMD ["true", {quoted}]',
            "EXPOSE 9090",
            f'ENTRYPOINT ["python3", "/service.py", {quoted}]',
        )
    )
    image = bases.built_from_scratch("hostile-text", dockerfile, {"service.py": _SERVICE})
    variables = {"DOCKER_HOST": os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")}
    shown = show(["--create", image, "--yes"], folder=tmp_path, variables=variables)
    assert r"\x1b]" in shown
    scenario = Scenario(tmp_path, "hostile", image, [9090])
    shown = show(
        [
            "--discover",
            str(scenario.module),
            "--startup-delay",
            "5",
            "--probe-timeout",
            "5",
            "--docker-gpus",
            "none",
            "--debug",
        ],
        folder=tmp_path,
        variables=variables,
    )
    assert r"\x9b" in shown
