"""Files of a Gradio app: found, uploaded, downloaded, and put back where they were."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chutes_wrappers.runtime import gradio_files
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import File
from chutes_wrappers.runtime.gradio_files import (
    AppSession,
    download,
    is_downloadable,
    iter_references,
    read_json,
    replace_references,
    upload,
)
from tests.upstreams.gradio_app import MARK, FakeGradioApp, reference

A = File(filename="a.txt", content_type="text/plain", data=b"a")
B = File(filename="b", content_type="audio/wav", data=b"bb")


async def upload_with(app: FakeGradioApp, *values: Any) -> list[Any]:
    async with app.serving() as url, aiohttp.ClientSession() as session:
        return await upload(AppSession(session), f"{url}/api", list(values))


def make_reference(number: int, file: File) -> dict[str, Any]:
    return {
        "path": f"/up/{number}",
        "orig_name": file.filename,
        "mime_type": file.content_type,
        "size": len(file.data),
        "meta": MARK,
    }


async def download_from(response: web.Response, max_bytes: int = 100, **of: Any) -> File:
    app = FakeGradioApp([])
    told = {**reference("/t/x.txt"), **of}
    app.files[told["path"]] = response
    async with app.serving() as url, aiohttp.ClientSession() as session:
        return await download(AppSession(session), f"{url}/api", told, max_bytes)


async def test_files_are_uploaded_in_one_request_and_replaced_where_they_stood() -> None:
    app = FakeGradioApp([])
    values = [A, "text", {"k": [B, 5]}, None, [[A]]]
    assert await upload_with(app, *values) == [
        make_reference(0, A),
        "text",
        {"k": [make_reference(1, B), 5]},
        None,
        [[make_reference(2, A)]],
    ]
    assert app.uploaded == [("a.txt", b"a"), ("b", b"bb"), ("a.txt", b"a")]


async def test_without_files_nothing_is_sent() -> None:
    async with aiohttp.ClientSession() as session:
        values = ["a", {"b": [1]}]
        assert await upload(AppSession(session), "http://127.0.0.1:1/api", values) is values


@pytest.mark.parametrize(
    ("filename", "sent"),
    [
        ("/etc/passwd", "passwd"),
        ("c:\\x\\y.wav", "y.wav"),
        ('a"b', "a_b"),
        ("", "file"),
        ("a/", "file"),
        ("ä b", "ä b"),
    ],
)
async def test_the_app_gets_a_plain_name_and_keeps_the_callers(filename: str, sent: str) -> None:
    app = FakeGradioApp([])
    (value,) = await upload_with(app, File(filename=filename, content_type="a/b", data=b""))
    assert (app.uploaded, value["orig_name"]) == ([(sent, b"")], filename)


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("audio/wav", "audio/wav"),
        ("text/x; charset=utf-8", "text/x; charset=utf-8"),
        ("wav", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("ä/b", "application/octet-stream"),
    ],
)
def test_only_a_media_type_is_sent_as_one(content_type: str, sent: str) -> None:
    assert gradio_files._build_upload_type(File(filename="a", content_type=content_type, data=b"")) == sent


@pytest.mark.parametrize("places", [[], ["/up/0", "/up/1"], {"a": 1}, "x", None])
async def test_an_app_that_does_not_return_file_paths_is_an_error(monkeypatch: pytest.MonkeyPatch, places: Any) -> None:
    async def say(response: Any) -> Any:
        return places

    monkeypatch.setattr(gradio_files, "read_json", say)
    with pytest.raises(CallFailed, match="did not return their paths"):
        await upload_with(FakeGradioApp([]), A)


@pytest.mark.parametrize(
    ("of", "served_as", "filename", "content_type"),
    [
        ({}, "text/css", "x.txt", "text/css"),
        ({}, "application/octet-stream", "x.txt", "text/plain"),
        ({"path": "/t/x"}, "application/octet-stream", "x", "application/octet-stream"),
        ({"path": "/t/ä b?.wav"}, "application/octet-stream", "ä b?.wav", "audio/wav"),
        ({"path": "c:\\t\\x.wav"}, "application/octet-stream", "x.wav", "audio/wav"),
        ({"orig_name": "mine.flac"}, "application/octet-stream", "mine.flac", "audio/flac"),
        ({"mime_type": "audio/ogg"}, "text/css", "x.txt", "audio/ogg"),
        ({"mime_type": ""}, "text/css", "x.txt", "text/css"),
        ({"mime_type": 5}, "text/css", "x.txt", "text/css"),
    ],
)
async def test_a_file_is_downloaded_with_the_name_and_type_of_its_reference(
    of: dict[str, Any], served_as: str, filename: str, content_type: str
) -> None:
    file = await download_from(web.Response(body=b"data", content_type=served_as), **of)
    assert file == File(filename=filename, content_type=content_type, data=b"data")


async def test_a_file_is_downloaded_up_to_a_limit() -> None:
    assert gradio_files.MAX_FILES_BYTES == 512 * 1024**2
    assert len((await download_from(web.Response(body=b"x" * 10), max_bytes=10)).data) == 10
    with pytest.raises(CallFailed, match="larger than 512 MiB"):
        await download_from(web.Response(body=b"x" * 11), max_bytes=10)


@pytest.mark.parametrize("status", [300, 404, 500])
async def test_an_error_of_the_app_is_quoted(status: int) -> None:
    with pytest.raises(CallFailed) as caught:
        await download_from(web.Response(status=status, text="nothing here"))
    assert (caught.value.detail["status"], caught.value.detail["body"]) == (status, "nothing here")


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [(b'{"a": 1}', "application/json", {"a": 1}), (b"[]", "text/plain", []), (b"{", "application/json", None)],
)
async def test_json_is_parsed_whatever_its_content_type(body: bytes, content_type: str, value: Any) -> None:
    app = FakeGradioApp([])
    app.files["x"] = web.Response(body=body, content_type=content_type)
    async with app.serving() as url, aiohttp.ClientSession() as session, session.get(f"{url}/api/file=x") as response:
        if value is not None:
            assert await read_json(response) == value
        else:
            with pytest.raises(CallFailed, match="not JSON"):
                await read_json(response)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (reference("/t/x"), True),
        ({**reference("/t/x"), "is_stream": False}, True),
        ({**reference("/t/x"), "is_stream": True}, False),
        ({**reference("/t/x"), "meta": {}}, False),
        ({"path": "/t/x"}, False),
        (reference("http://elsewhere/x"), False),
        (reference("https://elsewhere/x"), False),
        (reference("ftp"), True),
        (reference("/t/a..b/..c"), True),
        (reference("x/../../admin"), False),
        (reference("x/%2e%2e/y"), False),
        (reference("x\\..\\y"), False),
        (reference(""), False),
        ({**reference("x"), "path": 5}, False),
        ("/t/x", False),
        ([reference("/t/x")], False),
    ],
)
def test_files_of_the_app_can_be_downloaded(value: Any, expected: bool) -> None:
    assert is_downloadable(value) is expected


def test_files_of_a_response_are_found_in_order_and_replaced() -> None:
    value = {"a": [reference("/1"), "x"], "b": {"c": reference("/2"), "d": 5}, "e": [[reference("/3")]]}
    assert [found["path"] for found in iter_references(value)] == ["/1", "/2", "/3"]
    files = [File(filename=str(number), content_type="a/b", data=b"") for number in range(3)]
    assert replace_references(value, iter(files)) == {
        "a": [files[0].to_json(), "x"],
        "b": {"c": files[1].to_json(), "d": 5},
        "e": [[files[2].to_json()]],
    }


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_of_a_response_is_bounded() -> None:
    assert len([*iter_references(nested(reference("/1"), 100))]) == 1
    with pytest.raises(CallFailed, match="nested too deeply"):
        list(iter_references(nested("x", 101)))


async def test_files_are_found_and_replaced_down_to_the_same_depth() -> None:
    app = FakeGradioApp([])
    deepest, deeper = nested(A, 99), nested(B, 100)
    assert await upload_with(app, deeper, deepest) == [deeper, nested(make_reference(0, A), 99)]
    assert app.uploaded == [("a.txt", b"a")]


async def test_no_redirect_is_followed_to_another_service() -> None:
    other = FakeGradioApp([])
    other.files["/secret"] = web.Response(text="secret")
    async with other.serving() as url:
        redirect = web.Response(status=302, headers={"Location": f"{url}/api/file=/secret"})
        with pytest.raises(CallFailed, match="returned 302"):
            await download_from(redirect)
