"""The page of ``--emulate`` in Chromium, with the sample behind it: a text becomes a sound, and the sound a text again."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from selenium.webdriver import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.cli.test_emulate import Sample
from tests.packages.chromium import chromium, exceptions
from tests.packages.test_emulator_page import found, opened
from tests.scenario import free_port, until_interrupted

pytestmark = pytest.mark.packages


def test_a_message_travels_through_the_page(tmp_path: Path) -> None:
    sample, port = Sample(tmp_path), free_port()
    arguments = ("--emulate", str(sample.module), "--no-docker", "--yes", "--port", str(port))
    with until_interrupted(*arguments), chromium(tmp_path / "profile") as page:
        url = f"http://127.0.0.1:{port}"
        page.get(url)
        block = opened(page, "/speak")
        found(page, f"{block}//textarea").send_keys(Keys.CONTROL, "a", Keys.NULL, '{"text": "SOS"}')
        found(page, f"{block}//button[contains(@class,'execute')]").click()
        spoken = found(page, f"{block}//*[contains(@class,'live-responses-table')]//audio")
        WebDriverWait(page, 20, 0.05).until(lambda _: spoken.get_property("duration"))
        slug = requests.get(f"{url}/emulator/status.json", timeout=20).json()["chutes"][0]["slug"]
        sound = requests.post(f"{url}/emulator/call/{slug}/speak", json={"text": "SOS"}, timeout=60)
        assert sound.headers["content-type"] == "audio/wav"
        (tmp_path / "sos.wav").write_bytes(sound.content)
        block = opened(page, "/inference")
        found(page, f"{block}//input[@type='file']").send_keys(str(tmp_path / "sos.wav"))
        found(page, f"{block}//button[contains(@class,'execute')]").click()
        assert "SOS" in found(page, f"{block}//*[contains(@class,'live-responses-table')]//pre").text
        found(page, "//table[@id='instances']//td[.='active']")
        assert exceptions(page) == []
