from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_examples import check_examples, filled
from chutes_wrappers.host.parity.comparison import Exchange

SPOKEN = Exchange(status=200, content_type="audio/wav", body=b"RIFF")


def test_good_examples_are_kept_as_they_are() -> None:
    examples = {"POST /speak": {"text": "SOS"}, "POST /hear": {"file": {"answer_of": "POST /speak"}}}
    assert check_examples(examples, "m.py") == examples


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "a list"),
        ({"/speak": {}}, "'/speak'"),
        ({"SPEAK /speak": {}}, "'SPEAK /speak'"),
        ({"POST /speak": "SOS"}, "POST /speak"),
        ({"POST /hear": {"f": {"answer_of": "POST /speak"}}}, "POST /speak"),
        ({"POST /hear": {"f": [{"answer_of": "POST /hear"}]}}, "POST /hear"),
    ],
)
def test_what_is_wrong_with_examples_is_named_with_the_file(value: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_examples(value, "m.py")
    assert "m.py: CHUTE_EXAMPLES" in str(caught.value)
    assert named in str(caught.value)


def test_answers_and_files_stand_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"PNG")
    example = {"list": [{"answer_of": "POST /speak"}], "page": {"content_of": "page.png"}, "n": 1}
    spoken, page = base64.b64encode(b"RIFF").decode(), base64.b64encode(b"PNG").decode()
    assert filled(example, tmp_path, lambda name: SPOKEN) == {
        "list": [{"filename": "answer.wav", "content_type": "audio/wav", "data": spoken}],
        "page": {"filename": "page.png", "content_type": "image/png", "data": page},
        "n": 1,
    }


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.png"):
        filled({"f": {"content_of": "absent.png"}}, tmp_path, lambda name: SPOKEN)
