"""The review of a module's source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.preflight.code_review import find_objection
from tests.emulator.api.client import CODE

CORD = "@chute.cord(public_api_path='/x')\nasync def handler(self, data):\n"


@pytest.mark.parametrize(
    "code",
    [
        "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))",
        "from base64 import b64decode as d, b64decode\ntext = b64decode(x)\neval(text)",
        "import zlib\nexec(compile(zlib.decompress(blob), 'x', 'exec'))",
    ],
)
def test_decoding_text_and_running_it_is_obfuscation(code: str) -> None:
    assert "obfuscated" in (find_objection(code) or "")


@pytest.mark.parametrize("value", ["1", "'ok'", "{'status': 'ok'}", "['a', 1]"])
def test_a_cord_that_returns_a_constant_is_rejected(value: str) -> None:
    assert find_objection(f'{CORD}    """Says."""\n    return {value}\n') == "the cord 'handler' returns a constant"


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        f"{CORD}    return data\n",
        f"{CORD}    return await ask(data)\n",
        "@chute.cord(public_api_path='/x', passthrough=True)\nasync def handler(self, data):\n    return 1\n",
        "import base64\nsound = base64.b64decode(data)\n",
        "def version():\n    return 1\n",
        "this is no Python",
    ],
)
def test_other_modules_are_accepted(code: str) -> None:
    assert find_objection(code) is None


@given(st.text(max_size=40))
def test_any_text_can_be_reviewed(code: str) -> None:
    find_objection(code)


def test_the_template_is_accepted() -> None:
    from tests.scenario import ROOT

    assert find_objection((ROOT / "deploy_example.py").read_text()) is None
