"""The page of ``--emulate`` in Chromium with the sample: text to sound, and the sound back to text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.wait import WebDriverWait

from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from tests.cli.commands.test_emulate import Sample
from tests.packages.chromium import exceptions
from tests.packages.test_emulator_page import open_operation, wait_for_element
from tests.scenario import find_free_port, until_interrupted

pytestmark = pytest.mark.packages


def test_a_message_is_sent_through_the_page(tab: Chrome, tmp_path: Path) -> None:
    sample, port = Sample(tmp_path), find_free_port()
    arguments = ("--emulate", str(sample.module), "--no-docker", "--yes", "--port", str(port))
    with until_interrupted(*arguments) as emulating:
        url = f"http://127.0.0.1:{port}"
        address = re.search(rf"{url}/#(\S+)", emulating.output_text)
        assert address is not None, emulating.output_text
        tab.get(address[0])
        block = open_operation(tab, "/speak")
        wait_for_element(tab, f"{block}//textarea").send_keys(Keys.CONTROL, "a", Keys.NULL, '{"text": "SOS"}')
        wait_for_element(tab, f"{block}//button[contains(@class,'execute')]").click()
        spoken = wait_for_element(tab, f"{block}//*[contains(@class,'live-responses-table')]//audio")
        WebDriverWait(tab, 20, 0.05).until(lambda _: spoken.get_property("duration"))
        secret = {SECRET_HEADER: address[1]}
        status = requests.get(f"{url}/emulator/status.json", headers=secret, timeout=20).json()
        call = f"{url}/emulator/call/{status['chutes'][0]['slug']}/speak"
        sound = requests.post(call, json={"text": "SOS"}, headers=secret, timeout=60)
        assert sound.headers["content-type"] == "audio/wav"
        (tmp_path / "sos.wav").write_bytes(sound.content)
        block = open_operation(tab, "/inference")
        wait_for_element(tab, f"{block}//input[@type='file']").send_keys(str(tmp_path / "sos.wav"))
        wait_for_element(tab, f"{block}//button[contains(@class,'execute')]").click()
        assert "SOS" in wait_for_element(tab, f"{block}//*[contains(@class,'live-responses-table')]//pre").text
        wait_for_element(tab, "//table[@id='instances']//td[.='active']")
        assert exceptions(tab) == []
