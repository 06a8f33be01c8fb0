"""The example's page in Chromium, through forwarder and tunnel, with Gradio 4, 5 and 6."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.host.forwarding.tunnel import TunnelCarrier
from tests.dev_chute import dev_chute
from tests.host.forwarding.forwarders import forwarder_thread
from tests.packages.chromium import Page, Request, page_in_chromium
from tests.packages.conftest import environment_with
from tests.packages.test_gradio import GRADIO, running, wav
from tests.scenario import ROOT

pytestmark = pytest.mark.packages

TUNNEL = "from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])\n"
RECORD = """
window.seen = [];
const look = () => {
  const value = shown(path).value;
  if (value !== window.seen.at(-1)) window.seen.push(value);
  if (value !== "lift-off") setTimeout(look, 10);
};
look();
"""


@dataclass(frozen=True)
class Example:
    """The example, where it is itself and where it is forwarded to."""

    direct: str
    url: str


@pytest.fixture(scope="module", params=GRADIO, ids=lambda major: f"gradio{major}")
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    def started(port: int) -> dict[str, Any]:
        return {"environment": {"GRADIO_SERVER_PORT": str(port)}}

    python, script = environment_with(*GRADIO[request.param]), ROOT / "examples" / "gradio" / "app.py"
    with running(python, script, tmp_path_factory.mktemp("app"), started) as app:
        port = int(app.url.rpartition(":")[2])
        with (
            dev_chute(tmp_path_factory.mktemp("chute"), [], port, more=TUNNEL.format(port=port)) as chute,
            forwarder_thread(chute.base_url, port, TunnelCarrier) as local,
        ):
            yield Example(app.url, f"http://127.0.0.1:{local}")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with page_in_chromium(tmp_path / "profile") as tab:
        yield tab


async def test_what_is_typed_and_pressed_is_answered_in_the_page(example: Example, page: Page) -> None:
    await page.open(example.url)
    await page.write(_field("Text", "textarea"), "hellö")
    await page.click(_button("Shout"))
    assert await _value(page, _field("Said", "textarea"), ".") == "HELLÖ!"
    _assert_all_went_well(page, example)


async def test_the_apps_error_is_shown(example: Example, page: Page) -> None:
    await page.open(example.url)
    await page.write(_field("Text", "textarea"), " ")
    await page.click(_button("Shout"))
    await page.run("await until(() => document.body.innerText.includes('there is nothing to shout'))")
    _assert_all_went_well(page, example)


async def test_a_generator_is_seen_at_work(example: Example, page: Page) -> None:
    await page.open(example.url)
    await page.click(_tab("Countdown"))
    await page.write(_field("Start", "input"), "3")
    await page.run(RECORD, path=_field("Count", "textarea"))
    await page.click(_button("Start"))
    assert await _value(page, _field("Count", "textarea"), "lift-off") == "lift-off"
    seen = await page.run("return window.seen")
    # A slow machine may paint some of them only.
    assert len(seen) > 2
    assert seen == [text for text in ("", "3 …", "2 …", "1 …", "lift-off") if text in seen]
    _assert_all_went_well(page, example)


async def test_a_file_goes_up_and_its_answer_comes_down(example: Example, page: Page, tmp_path: Path) -> None:
    sound = tmp_path / "ünlike.wav"
    sound.write_bytes(wav())
    await page.open(example.url)
    await page.click(_tab("Reverse"))
    await page.upload("//input[@type='file']", sound)
    await page.run("await until(() => document.body.innerText.includes('0:00'))")
    await page.click(_button("Reverse"))
    assert float(await _value(page, _field("Seconds", "input"), "0.")) == 100 / 8000
    _assert_all_went_well(page, example)


def _field(label: str, tag: str) -> str:
    return f"//*[@data-testid='block-info'][normalize-space()='{label}']/following::{tag}[1]"


def _button(text: str) -> str:
    return f"//button[not(@role='tab')][normalize-space()='{text}']"


def _tab(text: str) -> str:
    return f"//button[@role='tab'][normalize-space()='{text}']"


async def _value(page: Page, path: str, pattern: str) -> str:
    script = "return (await until(() => { const node = shown(path); return RegExp(pattern).test(node?.value) && node; })).value"
    return str(await page.run(script, path=path, pattern=pattern))


def _assert_all_went_well(page: Page, example: Example) -> None:
    """Whatever the page asked of the forwarder came whole, and with the status that it has at the app itself."""
    own = [request for request in page.requests.values() if request.url.startswith(example.url)]
    assert own
    assert [request for request in own if request.problem or not _as_at_the_app(request, example)] == []
    assert page.sockets == []
    assert page.exceptions == []


def _as_at_the_app(request: Request, example: Example) -> bool:
    if request.status < 400:
        return True
    # Gradio 5 names a manifest that it does not have.
    url = request.url.replace(example.url, example.direct)
    return request.method == "GET" and requests.get(url, timeout=30).status_code == request.status
