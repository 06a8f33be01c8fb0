from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import File
from chutes_wrappers.runtime.gradio_arguments import FILE_MARK, parse_arguments

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.lists(st.sampled_from(["text", "data", "image_base64", "stream", "body", "ä", "x_1"]), unique=True)
BYTES = st.binary(max_size=50)


def endpoint(*parameters: GradioParameter) -> GradioEndpoint:
    return GradioEndpoint(api_name="x", fn_index=0, parameters=parameters)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@given(data=st.data(), names=NAMES)
def test_named_and_positional_arguments_are_passed_in_order_and_unchanged(
    data: st.DataObject, names: list[str]
) -> None:
    parameters = [GradioParameter(name=name, default=data.draw(JSON)) for name in names]
    given_names = data.draw(st.permutations(names).map(lambda order: order[: data.draw(st.integers(0, len(names)))]))
    values = {name: data.draw(JSON) for name in given_names}
    expected = [values.get(parameter.name, parameter.default) for parameter in parameters]
    assert parse_arguments(endpoint(*parameters), values) == expected
    if "data" not in names:
        assert parse_arguments(endpoint(*parameters), {"data": expected}) == expected


@given(
    files=st.lists(BYTES),
    names=st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), min_size=9),
)
def test_files_keep_their_bytes_names_and_order(files: list[bytes], names: list[str]) -> None:
    takes = endpoint(GradioParameter(name="f", required=True, file="many"))
    objects = [{"filename": name, "data": encoded(data)} for name, data in zip(names, files, strict=False)]
    [read] = parse_arguments(takes, {"f": objects})
    assert [(file.filename, file.data) for file in read] == list(zip(names, files, strict=False))
    [bare] = parse_arguments(takes, {"f_base64": [encoded(data) for data in files]})
    assert [file.data for file in bare] == files


ONE = endpoint(GradioParameter(name="image", required=True, file="one"))
GIF = b"GIF89a"


@pytest.mark.parametrize(
    "body",
    [
        {"image": {"filename": "image.gif", "content_type": "image/gif", "data": encoded(GIF)}},
        {"image": {"data": encoded(GIF)}},
        {"image": f"data:image/gif;base64,{encoded(GIF)}"},
        {"image_base64": encoded(GIF)},
        {"data": [{"filename": "image.gif", "data": encoded(GIF)}]},
    ],
)
def test_a_file_may_be_written_in_every_way(body: dict[str, Any]) -> None:
    assert parse_arguments(ONE, body) == [File(filename="image.gif", content_type="image/gif", data=GIF)]


def test_the_apps_own_file_references_are_passed_on() -> None:
    assert parse_arguments(ONE, {"image": "https://x/y.png"}) == [{"path": "https://x/y.png", "meta": FILE_MARK}]
    assert parse_arguments(ONE, {"image": {"path": "/tmp/x"}}) == [{"path": "/tmp/x", "meta": FILE_MARK}]
    assert parse_arguments(ONE, {"image": None}) == [None]


def test_a_video_lies_under_the_key_that_the_app_wants() -> None:
    video = endpoint(GradioParameter(name="clip", required=True, file="one", file_key="video"))
    file = File(filename="v.mp4", content_type="video/mp4", data=b"x")
    given = {"filename": "v.mp4", "data": encoded(b"x")}
    assert parse_arguments(video, {"clip": given}) == [{"video": file}]
    assert parse_arguments(video, {"clip": {"video": given, "subtitles": None}}) == [{"video": file, "subtitles": None}]


def test_files_among_other_values_are_found_and_texts_stay_texts() -> None:
    chat = endpoint(GradioParameter(name="message", required=True, file="inside"))
    file = File(filename="a.txt", content_type="text/plain", data=b"x")
    message = {"text": "data:, not a file", "data": "eA==", "files": [{"filename": "a.txt", "data": encoded(b"x")}]}
    assert parse_arguments(chat, {"message": message}) == [{**message, "files": [file]}]


def test_one_file_is_a_list_of_files_where_many_may_be() -> None:
    takes = endpoint(GradioParameter(name="f", file="many"))
    [files] = parse_arguments(takes, {"f": {"filename": "a.txt", "data": ""}})
    assert [file.filename for file in files] == ["a.txt"]
    assert parse_arguments(takes, {}) == [None]
    assert parse_arguments(takes, {"f": []}) == [[]]


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "a JSON object, not a list"),
        ({}, "`image` is missing; parameters: image, size \\(optional\\)"),
        ({"image": "x", "siz": 1}, "`siz` is not a parameter"),
        ({"image": "x"}, "`image` must be a file: send"),
        ({"image": 3}, "`image` must be a file: send"),
        ({"image_base64": "%"}, "`image_base64` is not base64"),
        ({"image_base64": 3}, "`image_base64` is not a string"),
        ({"image": None, "image_base64": ""}, "`image` is given twice"),
        ({"size_base64": ""}, "`size_base64` is not a parameter"),
        ({"data": [1, 2, 3]}, "3 arguments, the endpoint accepts 2"),
        ({"data": 3}, "`data` is not a parameter"),
    ],
)
def test_invalid_arguments_are_named(body: Any, problem: str) -> None:
    takes = endpoint(GradioParameter(name="image", required=True, file="one"), GradioParameter(name="size", default=1))
    with pytest.raises(CallFailed, match=problem) as refused:
        parse_arguments(takes, body)
    assert refused.value.status == 400


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(CallFailed, match="nested too deeply"):
        parse_arguments(endpoint(GradioParameter(name="x", file="inside")), {"x": nested(900)})
