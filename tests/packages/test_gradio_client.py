"""``gradio_client`` and the page's own files, through forwarder and tunnel, with Gradio 4, 5 and 6."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.manifest import parse_routes
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import forwarder_thread
from tests.packages.environments import create_environment
from tests.packages.test_gradio_versions import GRADIO, MAJORS, run_app
from tests.scenario import ROOT

pytestmark = pytest.mark.packages

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
# Prints the client's results from the app at its first argument. Its second argument is a folder for files.
CLIENT = """
import json, pathlib, sys, time
from gradio_client import Client, handle_file

folder = pathlib.Path(sys.argv[2])
client = Client(sys.argv[1], verbose=False, download_files=str(folder))
seen = {"text": client.predict("you", "!", 2, api_name="/greet")}
sent = folder / "every ünlike byte.bin"
sent.write_bytes(bytes(range(256)) * 1000)
received = pathlib.Path(client.predict(handle_file(str(sent)), api_name="/copy"))
seen["file"] = [received.name, received.read_bytes() == sent.read_bytes()]

seen["stream"] = [said for said, _ in client.submit("a b c d e", api_name="/words")]
# Three seconds of words: the client may open its stream late, and has some of them at once then.
arrived = [time.monotonic() for _ in client.submit("word " * 30, api_name="/words")]
seen["as it is produced"] = arrived[-1] - arrived[0] > 0.5

try:
    seen["error"] = client.predict("luck", api_name="/refuse")
except Exception as error:
    seen["error"] = [type(error).__name__, str(error)]

# One call of a function runs at a time: the second can only begin when the app has stopped the first.
endless = client.submit(100_000, api_name="/count")
first = next(iter(endless))
endless.cancel()
# Another client, as the end of the cancelled stream can cancel the next call of the same gradio_client 1.
after = Client(sys.argv[1], verbose=False)
seen["cancel"] = [first, after.submit(2, api_name="/count").result(30), endless.done()]
print(json.dumps(seen))
"""


@dataclass(frozen=True)
class Forwarded:
    """A Gradio app: its own URL, its forwarded URL, and the Python of its Gradio."""

    python: Path
    direct: str
    url: str


@pytest.fixture(scope="module", params=MAJORS)
def forwarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarded]:
    python = create_environment(*GRADIO[request.param])
    script = ROOT / "tests" / "packages" / "gradio_app.py"
    with run_app(python, script, tmp_path_factory.mktemp("app"), lambda port: {"argv": [str(port)]}) as app:
        port = int(app.url.rpartition(":")[2])
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, TunnelTransport) as local,
        ):
            yield Forwarded(python, app.url, f"http://127.0.0.1:{local}")


def test_the_client_gets_the_same_results_as_from_the_app(forwarded: Forwarded, tmp_path: Path) -> None:
    results = _run_client(forwarded.python, forwarded.url, tmp_path / "forwarded")
    assert results == _run_client(forwarded.python, forwarded.direct, tmp_path / "direct")
    kind, error = results.pop("error")
    assert (kind, "no luck" in error) == ("AppError", True)
    assert results == {
        "text": "hello you!hello you!",
        "file": ["every ünlike byte.bin", True],
        "stream": ["a ", "a b ", "a b c ", "a b c d ", "a b c d e "],
        "as it is produced": True,
        "cancel": [0, 1, True],
    }


@pytest.mark.parametrize("major", MAJORS[1:])
def test_without_a_tunnel_the_client_gets_an_error_that_names_the_missing_tunnel(major: int, tmp_path: Path) -> None:
    python = create_environment(*GRADIO[major])
    script = ROOT / "tests" / "packages" / "gradio_app.py"
    with run_app(python, script, tmp_path, lambda port: {"argv": [str(port)]}) as app:
        port = int(app.url.rpartition(":")[2])
        entries = [{**route.to_entry(), "port": port} for route in app.manifest.routes]
        table = RouteTable(plan_cords(parse_routes(entries, where="the manifest"), port).cords)
        with (
            dev_chute(tmp_path, entries, port) as chute,
            forwarder_thread(chute.base_url, port, lambda chute: RouteTransport(chute, table)) as local,
        ):
            connect = f"from gradio_client import Client; Client('http://127.0.0.1:{local}', verbose=False)"
            done = subprocess.run([str(python), "-c", connect], capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "no route of the chute matches GET /gradio_api/info" in last
    assert "only the tunnel carries this: add register_tunnel(chute, SERVICE_PORTS) to the module" in last


def _run_client(python: Path, url: str, folder: Path) -> Any:
    folder.mkdir()
    command = [str(python), "-c", CLIENT, url, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_page_names_the_forwarder_and_its_files_are_the_apps_own(forwarded: Forwarded) -> None:
    page = requests.get(forwarded.url, timeout=60)
    assert page.status_code == 200
    assert forwarded.direct not in page.text
    assert forwarded.url in page.text
    files = sorted(set(re.findall(r'(?:src|href)="\.?(/?[^":]+\.(?:js|css|svg))"', page.text)))
    assert files
    for name in files:
        path = "/" + name.lstrip("./")
        assert (
            requests.get(forwarded.url + path, timeout=60).content
            == requests.get(forwarded.direct + path, timeout=60).content
        )
