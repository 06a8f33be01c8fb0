"""``gradio_client`` and the page's own files, through forwarder and tunnel, with Gradio 4, 5 and 6."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from chutes_wrappers.host.forwarding.tunnel import TunnelCarrier
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import forwarder_thread
from tests.packages.conftest import environment_with
from tests.packages.test_gradio import GRADIO, running
from tests.scenario import ROOT

pytestmark = pytest.mark.packages

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
CLIENT = """
import pathlib, sys
from gradio_client import Client, handle_file

client = Client(sys.argv[1], verbose=False, download_files=sys.argv[2])
assert client.predict("you", "!", 2, api_name="/greet") == "hello you!hello you!"
sent = pathlib.Path(sys.argv[2], "sent.bin")
sent.write_bytes(bytes(range(256)) * 1000)
assert pathlib.Path(client.predict(handle_file(str(sent)), api_name="/copy")).read_bytes() == sent.read_bytes()
job = client.submit("a b c", api_name="/words")
assert job.result(30) and [said for said, _ in job.outputs()] == ["a ", "a b ", "a b c "], job.outputs()
try:
    client.predict("luck", api_name="/refuse")
except Exception as error:
    assert "no luck" in str(error), error
else:
    raise AssertionError("not refused")
print("all well")
"""


@dataclass(frozen=True)
class Forwarded:
    """A Gradio app, where it is itself and where it is forwarded to, and the Python of its Gradio."""

    python: Path
    direct: str
    url: str


@pytest.fixture(scope="module", params=GRADIO, ids=lambda major: f"gradio{major}")
def forwarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarded]:
    python = environment_with(*GRADIO[request.param])
    script = ROOT / "tests" / "packages" / "gradio_app.py"
    with running(python, script, tmp_path_factory.mktemp("app"), lambda port: {"argv": [str(port)]}) as app:
        port = int(app.url.rpartition(":")[2])
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, TunnelCarrier) as local,
        ):
            yield Forwarded(python, app.url, f"http://127.0.0.1:{local}")


def test_the_client_calls_uploads_downloads_and_streams(forwarded: Forwarded, tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    command = [str(forwarded.python), str(script), forwarded.url, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr


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
