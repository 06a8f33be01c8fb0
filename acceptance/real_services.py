"""Real services, as a newcomer wraps them: ``python acceptance/real_services.py [NAME …] [--folder FOLDER]``.

Each service is installed from its package into an environment of its own, discovered, and checked with
``--emulate --no-docker --check``. Printed is a table: routes that are proven, not proven and failing, the seconds, and the lines of the
module that a person had to write beside the template's. The services and their modules remain in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.packages.environments import create_environment  # noqa: E402

_LONGEST_S = 1800
_MODULE = """from chutes.chute import Chute, NodeSelector

from tools.chute_wrappers import build_wrapper_image, load_route_manifest, register_passthrough_routes, wait_for_services

CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE = "real-{name}", "v1", "{name}:latest"
SERVICE_PORTS = [{port}]
CHUTE_EXPOSE = ["parameters", "files"]
HOST_ENTRYPOINT = "exec {command}"
CHUTE_STATIC_ROUTES = []
{lines}
image = build_wrapper_image("tester", CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE)
selector = NodeSelector(gpu_count=1, include=["pro_6000"])
chute = Chute(username="tester", name=CHUTE_NAME, image=image, node_selector=selector, tee=True, concurrency=8)
register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    await wait_for_services(SERVICE_PORTS, timeout=400)
"""
# MLflow publishes no specification of its API.
_MLFLOW_ROUTES = """CHUTE_STATIC_ROUTES = [
    {"path": "/health", "method": "GET"},
    {"path": "/api/2.0/mlflow/experiments/create", "method": "POST"},
    {"path": "/api/2.0/mlflow/experiments/search", "method": "POST"},
    {
        "path": "/api/2.0/mlflow/experiments/get",
        "method": "GET",
        "parameters": [{"name": "experiment_id", "in": "query", "required": True}],
    },
    {"path": "/api/2.0/mlflow/runs/create", "method": "POST"},
]
CHUTE_EXAMPLES = {
    "POST /api/n2_0/mlflow/experiments/create": {"name": "first"},
    "POST /api/n2_0/mlflow/experiments/search": {"max_results": 5},
    "POST /api/n2_0/mlflow/runs/create": {"experiment_id": "0"},
}
CHUTE_CHECKS = {"POST /api/n2_0/mlflow/experiments/create": {"skip": "a second experiment cannot have the name of the first"}}
"""


@dataclass(frozen=True, kw_only=True)
class RealService:
    """A service of a package. ``command`` begins with a program of its environment; ``lines`` are what a person wrote."""

    name: str
    requirement: str
    port: int
    command: str
    lines: str = ""
    environment: dict[str, str] = field(default_factory=dict)


SERVICES = (
    RealService(
        name="litellm",
        requirement="litellm[proxy]",
        port=18400,
        command="litellm --config litellm.yaml --host 127.0.0.1 --port 18400",
        lines='CHUTE_HEADERS = {"Authorization": "Bearer ${LITELLM_MASTER_KEY}"}\n',
        environment={"LITELLM_MASTER_KEY": "sk-of-this-measurement-and-of-nothing-else"},
    ),
    RealService(
        name="bentoml",
        requirement="bentoml",
        port=18410,
        command="bentoml serve service:Words --host 127.0.0.1 --port 18410",
    ),
    RealService(name="mlserver", requirement="mlserver", port=18420, command="mlserver start ."),
    RealService(
        name="chroma",
        requirement="chromadb",
        port=18430,
        command="chroma run --path data --host 127.0.0.1 --port 18430",
    ),
    RealService(
        name="kinto",
        requirement="kinto",
        port=18450,
        command="kinto start --ini kinto.ini --port 18450",
        lines='CHUTE_HEADERS = {"Authorization": "Basic ${SERVICE_KEY}"}\n',
        environment={"SERVICE_KEY": "c29tZW9uZTpzZWNyZXQ="},
    ),
    RealService(
        name="mlflow",
        requirement="mlflow",
        port=18460,
        command="mlflow server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 18460 --workers 1",
        lines=_MLFLOW_ROUTES,
    ),
)


def prepare_module(service: RealService, folder: Path) -> Path:
    """Write the files and the module of a service into ``folder``; return the module."""
    files = ROOT / "acceptance" / "services" / service.name
    if files.is_dir():
        shutil.copytree(files, folder, dirs_exist_ok=True)
    programs = create_environment(service.requirement).parent
    module = folder / f"deploy_{service.name}.py"
    text = _MODULE.format(
        name=service.name, port=service.port, command=f"{programs}/{service.command}", lines=service.lines
    )
    module.write_text(text)
    return module


def check_service(service: RealService, folder: Path) -> tuple[dict[str, Any], float]:
    """Return the result of ``--emulate --check`` and its seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    module = prepare_module(service, folder)
    argv = [str(ROOT / "deploy.sh"), "--emulate", str(module), "--no-docker", "--check", "--watch", "0", "--json"]
    environment = {**os.environ, **service.environment}
    started = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=_LONGEST_S, check=False)
    (folder / "output.log").write_text(done.stderr)
    return json.loads(done.stdout or "{}"), time.monotonic() - started


def format_row(service: RealService, result: dict[str, Any], seconds: float) -> str:
    """Return a row of the table."""
    counts = result.get("counts")
    if counts is None:
        return f"| {service.name} | {result.get('error', 'no result')} | | | {seconds:.0f} | |"
    written = len(service.lines.splitlines())
    numbers = f"{counts['proven']} | {counts['not proven']} | {counts['failing']}"
    return f"| {service.name} | {numbers} | {seconds:.0f} | {written or 'none'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(each.name for each in SERVICES))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "chutes-wrappers-services")
    arguments = parser.parse_args()
    print(
        "| service | proven | not proven | failing | seconds | lines written |\n|---|---|---|---|---|---|", flush=True
    )
    for service in SERVICES:
        if not arguments.names or service.name in arguments.names:
            result, seconds = check_service(service, arguments.folder / service.name)
            print(format_row(service, result, seconds), flush=True)


if __name__ == "__main__":
    main()
