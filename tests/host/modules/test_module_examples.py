from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_examples import MissingValue, check_examples, resolve_example
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


ITEM = HttpResponse(status=201, content_type="application/json", body=b'{"id": 7, "a/b~": [{"x": null}], "": 1}')


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("/id", 7), ("/a~1b~0/0/x", None), ("/", 1), ("", {"id": 7, "a/b~": [{"x": None}], "": 1})],
)
def test_a_pointer_selects_a_value_of_a_response(pointer: str, expected: Any) -> None:
    example = check_examples({"GET /items/id": {"id": {"answer_of": "POST /items", "pointer": pointer}}}, "m.py")
    assert resolve_example(example["GET /items/id"], Path(), lambda name: ITEM) == {"id": expected}


@pytest.mark.parametrize(
    ("pointer", "response", "message"),
    [
        ("/no", ITEM, "the response of POST /items has no value at '/no': instead of 'no' there is id, a/b~"),
        ("/a~1b~0/01", ITEM, "a list of 1 is at '01'"),
        ("/id/x", ITEM, "no object is at 'x'"),
        ("/id", SPEECH, "is not JSON"),
    ],
)
def test_a_pointer_that_finds_nothing_says_what_is_there(pointer: str, response: HttpResponse, message: str) -> None:
    with pytest.raises(MissingValue) as caught:
        resolve_example({"answer_of": "POST /items", "pointer": pointer}, Path(), lambda name: response)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            {"answer_of": "POST /items", "pointer": "id"},
            "the pointer 'id' in the example of GET /x is not a valid JSON pointer",
        ),
        ({"answer_of": "POST /items", "pointer": "/~2"}, "'/~2'"),
        ({"answer_of": "POST /items", "pointer": 3}, "the pointer 3"),
        ({"answer_of": "items", "pointer": "/id"}, "'items', which is not a valid method and path"),
        ({"answer_of": "GET /x", "pointer": "/id"}, "GET /x needs its own response"),
    ],
)
def test_an_invalid_pointer_is_reported_with_the_file(reference: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_examples({"GET /x": {"id": reference}}, "m.py")
    assert message in str(caught.value)
