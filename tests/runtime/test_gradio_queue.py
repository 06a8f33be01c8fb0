from __future__ import annotations

import copy
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.runtime import gradio_queue
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gradio_queue import MessageParser, OutputReader, apply_edits
from tests.upstreams.gradio_app import completed, failed, generating

JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text("abc"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("kl"), inner),
    max_leaves=8,
)


def difference(old: Any, new: Any, path: list[Any]) -> list[list[Any]]:
    """Edits as Gradio makes them (its ``diff``): text grows by appending, the ends of lists come and go."""
    if old == new:
        return []
    if isinstance(old, str) and isinstance(new, str) and new.startswith(old):
        return [["append", path, new[len(old) :]]]
    if isinstance(old, list) and isinstance(new, list):
        common = min(len(old), len(new))
        edits = [edit for index in range(common) for edit in difference(old[index], new[index], [*path, index])]
        edits += [["delete", [*path, index], None] for index in reversed(range(common, len(old)))]
        return edits + [["add", [*path, index], new[index]] for index in range(common, len(new))]
    if isinstance(old, dict) and isinstance(new, dict):
        edits = [edit for key in old if key in new for edit in difference(old[key], new[key], [*path, key])]
        edits += [["delete", [*path, key], None] for key in old if key not in new]
        return edits + [["add", [*path, key], new[key]] for key in new if key not in old]
    return [["replace", path, new]]


@given(old=JSON, new=JSON)
def test_applying_a_diff_gives_the_new_value(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert apply_edits(old, difference(old, new, [])) == new
    assert old == before


@pytest.mark.parametrize(
    "edit", [["replace", ["x", 3], 1], ["append", [], 3], ["dance", [], 1], ["add", ["a", 0], 1], [1], None]
)
def test_an_invalid_diff_is_an_error_of_the_app(edit: Any) -> None:
    with pytest.raises(CallFailed, match="is not a valid change"):
        apply_edits({"a": "b"}, [edit])


def test_an_output_that_is_nested_too_deeply_is_an_error_of_the_app() -> None:
    deep: Any = []
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    with pytest.raises(CallFailed, match="is not a valid change"):
        apply_edits(deep, [["replace", [0], 1]])


@given(messages=st.lists(st.dictionaries(st.text(), st.text())), size=st.integers(1, 20))
def test_messages_arrive_whole_however_they_are_cut(messages: list[dict[str, str]], size: int) -> None:
    stream = b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)
    lines = MessageParser()
    pieces = (stream[start : start + size] for start in range(0, len(stream), size))
    assert [message for piece in pieces for message in lines.feed(piece)] == [
        message for message in messages if message
    ]


def test_other_lines_mean_nothing_and_broken_ones_are_errors_of_the_app() -> None:
    assert list(MessageParser().feed(b": ping\nevent: x\ndata: 3\n\n")) == []
    with pytest.raises(CallFailed, match="invalid JSON"):
        list(MessageParser().feed(b"data: {\n"))


def test_a_message_over_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_queue, "MAX_MESSAGE_BYTES", 1024**2)
    lines = MessageParser()
    assert list(lines.feed(b"x" * 1024**2)) == []
    with pytest.raises(CallFailed, match="larger than 1 MiB"):
        list(lines.feed(b"x"))


def outputs(*messages: dict[str, Any], **fields: Any) -> list[list[Any]]:
    read = OutputReader(GradioEndpoint(api_name="x", fn_index=0, **fields))
    result = [values for message in messages if (values := read.read(message)) is not None]
    assert read.is_complete == (messages[-1]["msg"] == "process_completed")
    return result


def test_a_function_puts_out_once_and_a_generator_what_it_yields() -> None:
    assert outputs({"msg": "estimation"}, {"msg": "process_starts"}, completed("a", 1)) == [["a", 1]]
    grown = generating([["append", [], "b"]], [["replace", [], 2]])
    assert outputs(generating("a", 1), grown, completed("ab", 2)) == [["a", 1], ["ab", 2]]
    assert outputs(generating("a"), generating("ab"), protocol="sse_v1") == [["a"], ["ab"]]


def test_session_state_is_removed_and_updates_are_unwrapped() -> None:
    update = {"__type__": "update", "value": "new", "visible": True}
    assert outputs(completed(None, update, {"__type__": "update"}), hidden_outputs=(0,)) == [["new", None]]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("no entry", "no entry"),
        ("'no entry'", "no entry"),
        ('"it\'s over"', "it's over"),
        ("'half", "'half"),
        ("'a' and 'b", "'a' and 'b"),
        ("'a'b'", "'a'b'"),
        (r"'it\'s\nover'", "it's\nover"),
        (r"'\ud800 \N{nosuch}'", r"'\ud800 \N{nosuch}'"),
        ("'a'" + "-'a'" * 20_000, "'a'-'a'"),
        ("'a' if " + "-" * 100_000 + "1 else 'a'", "'a' if --"),
        (None, "failed without a reason"),
        ([{"message": "too long", "is_valid": False}], "too long"),
    ],
)
def test_the_apps_error_messages_are_kept(error: Any, words: str) -> None:
    with pytest.raises(CallFailed) as refused:
        outputs(failed(error))
    assert words in str(refused.value)
    assert (refused.value.status, words.startswith("'")) == (400, str(refused.value).startswith("'"))


@pytest.mark.parametrize(
    "message", [{"msg": "unexpected_error", "message": "lost"}, {"msg": "server_stopped", "message": "lost"}]
)
def test_the_queues_own_errors_end_a_call(message: dict[str, Any]) -> None:
    with pytest.raises(CallFailed, match="lost"):
        outputs(message)


@pytest.mark.parametrize("output", [None, {}, {"data": "text"}, 3])
def test_a_response_without_data_is_an_error_of_the_app(output: Any) -> None:
    with pytest.raises(CallFailed):
        outputs({"msg": "process_completed", "success": True, "output": output})


def test_differences_of_another_number_of_outputs_are_an_error_of_the_app() -> None:
    outputs = OutputReader(GradioEndpoint(api_name="x", fn_index=0, protocol="sse_v3"))
    assert outputs.read(generating("a", "b")) == ["a", "b"]
    with pytest.raises(CallFailed, match="is not a valid change"):
        outputs.read(generating([]))
