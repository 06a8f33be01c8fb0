"""Rejections of the platform are reported before anything is created, by the real command line."""

from __future__ import annotations

from pathlib import Path

from tests.scenario import find_free_port, run_command

SERVICE = """
import http.server, json, sys

DOCUMENT = {"openapi": "3.1.0", "info": {"title": "echo", "version": "1"}, "paths": {"/hello": {"get": {
    "responses": {"200": {"description": "it", "content": {"application/json": {"schema": {"type": "object"}}}}}}}}}


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(DOCUMENT if self.path == "/openapi.json" else {"hello": "you"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
"""
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import (
    build_wrapper_image, chutes_username, load_route_manifest, register_passthrough_routes, wait_for_services,
)

USERNAME = chutes_username()
CHUTE_NAME = "refused"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "nothing:latest"
SERVICE_PORTS = [{port}]
CHUTE_ENV = {{"HF_TOKEN": "hf_do_not_show"}}
HOST_ENTRYPOINT = "exec python3 service.py {port}"
image = build_wrapper_image(USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE)
chute = Chute(
    username=USERNAME, name=CHUTE_NAME, image=image,
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=8,
)
register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])


@chute.cord(public_api_path="/replace", public_api_method="{method}")
async def replace(self) -> dict:
    return {{"replaced": True}}


@chute.on_startup()
async def boot(self):
    await wait_for_services(SERVICE_PORTS, timeout=60)
"""


def write_module(folder: Path, *, method: str, length: int = 0) -> Path:
    (folder / "service.py").write_text(SERVICE)
    path = folder / "deploy_refused.py"
    source = MODULE.format(port=find_free_port(), method=method)
    path.write_text(source + "#" * (length - len(source)))
    return path


def test_emulate_lists_all_rejections_and_starts_no_instance(tmp_path: Path) -> None:
    path = write_module(tmp_path, method="put", length=150_001)
    done = run_command("--emulate", str(path), "--no-docker", "--check", "--yes", timeout_s=120)
    output_text = done.stdout + done.stderr
    assert done.returncode == 2, output_text
    assert "Chutes would reject this module" in output_text
    for part in (
        "'put' is not a valid public method",
        "cord replace",
        'public_api_method="POST"',
        "150,001",
        "keep the module thin",
    ):
        assert part in output_text
    assert "! " in output_text
    assert "--secret refused HF_TOKEN" in output_text
    assert "hf_do_not_show" not in output_text
    assert "as the platform would" not in output_text
    assert "Traceback" not in output_text
