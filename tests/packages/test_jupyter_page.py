"""A Jupyter server's own page in Chromium, through forwarder and tunnel: it accepts this machine's names and its own origin only."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.host.forwarding.tunnel_transport import TunnelTransport
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import BROWSER_NAME, forwarder_thread
from tests.packages.environments import create_environment
from tests.scenario import find_free_port

pytestmark = pytest.mark.packages

JUPYTER = "jupyter_server==2.17.0"
TOKEN = "a token of this test"
TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
TIMEOUT_S = 60
SAVE = """
const [url, done] = arguments;
const token = document.cookie.match(/_xsrf=([^;]*)/)[1];
fetch(url, {
  method: "PUT", headers: {"X-XSRFToken": token, "Content-Type": "application/json"},
  body: JSON.stringify({type: "file", format: "text", content: "saved"}),
}).then(response => done(response.status), error => done(String(error)));
"""


@dataclass(frozen=True)
class Jupyter:
    """The port of a Jupyter server, the folder that it serves, and the forwarder's port for it."""

    port: int
    folder: Path
    local: int


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    python, folder, port = create_environment(JUPYTER), tmp_path_factory.mktemp("jupyter"), find_free_port()
    (folder / "served").mkdir()
    options = [
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={folder}/served",
    ]
    command = [str(python), "-m", "jupyter_server", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}, stdout=log, stderr=log
        )
    try:
        wait_until_ready(process, port, folder / "log")
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, TunnelTransport) as local,
        ):
            yield Jupyter(port, folder / "served", local)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server responds; fail with its log if it ends before."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            assert requests.get(f"http://127.0.0.1:{port}/login", timeout=TIMEOUT_S).status_code == 200
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    pytest.fail(log.read_text())


def test_login_page_and_api_work_in_a_browser(jupyter: Jupyter, tab: Chrome) -> None:
    tab.set_script_timeout(TIMEOUT_S)
    tab.get(f"http://127.0.0.1:{jupyter.local}/login?next=%2Fapi%2Fcontents")
    root = f"http://{BROWSER_NAME}:{jupyter.local}"
    assert tab.current_url == f"{root}/login?next=%2Fapi%2Fcontents"
    tab.find_element(By.ID, "password_input").send_keys(TOKEN)
    tab.find_element(By.ID, "login_submit").click()
    WebDriverWait(tab, TIMEOUT_S, 0.05).until(lambda page: page.current_url == f"{root}/api/contents")
    assert '"type": "directory"' in tab.find_element(By.TAG_NAME, "body").text
    tab.get(root)  # the API's own page may fetch nothing
    assert tab.execute_async_script(SAVE, f"{root}/api/contents/a.txt") == 201
    assert (jupyter.folder / "a.txt").read_text() == "saved"


def test_jupyter_itself_rejects_the_name_and_a_foreign_origin(jupyter: Jupyter) -> None:
    headers = {"Authorization": f"token {TOKEN}"}
    direct = requests.get(f"http://127.0.0.1:{jupyter.port}/api", headers={"Host": BROWSER_NAME}, timeout=TIMEOUT_S)
    assert direct.status_code == 403
    url = f"http://127.0.0.1:{jupyter.local}/api/contents"
    assert requests.get(url, headers=headers, timeout=TIMEOUT_S).status_code == 200
    # Jupyter's API is a 404 for foreign pages, and requires a login of its own.
    for origin, status in (("http://localhost:5173", 404), (f"http://127.0.0.1:{jupyter.port}", 404), (url[:-13], 403)):
        assert requests.get(url, headers={"Origin": origin}, timeout=TIMEOUT_S).status_code == status, origin
