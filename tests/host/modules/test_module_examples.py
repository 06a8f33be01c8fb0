from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_examples import check_examples, resolve_example
from chutes_wrappers.host.parity.comparison import HttpResponse

SPEECH = HttpResponse(status=200, content_type="audio/wav", body=b"RIFF")


def test_valid_examples_are_unchanged() -> None:
    examples = {"POST /speak": {"text": "SOS"}, "POST /hear": {"file": {"answer_of": "POST /speak"}}}
    assert check_examples(examples, "m.py") == examples


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "a list"),
        ({"/speak": {}}, "'/speak'"),
        ({"SPEAK /speak": {}}, "'SPEAK /speak'"),
        ({"POST /speak": "SOS"}, "POST /speak"),
        ({"POST /hear": {"f": {"answer_of": "POST /speak"}}}, "POST /speak"),
        ({"POST /hear": {"f": [{"answer_of": "POST /hear"}]}}, "POST /hear"),
    ],
)
def test_invalid_examples_are_reported_with_the_file(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_examples(value, "m.py")
    assert "m.py: CHUTE_EXAMPLES" in str(caught.value)
    assert message in str(caught.value)


def test_responses_and_files_replace_their_references(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"PNG")
    example = {"list": [{"answer_of": "POST /speak"}], "page": {"content_of": "page.png"}, "n": 1}
    spoken, page = base64.b64encode(b"RIFF").decode(), base64.b64encode(b"PNG").decode()
    assert resolve_example(example, tmp_path, lambda name: SPEECH) == {
        "list": [{"filename": "answer.wav", "content_type": "audio/wav", "data": spoken}],
        "page": {"filename": "page.png", "content_type": "image/png", "data": page},
        "n": 1,
    }


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.png"):
        resolve_example({"f": {"content_of": "absent.png"}}, tmp_path, lambda name: SPEECH)
