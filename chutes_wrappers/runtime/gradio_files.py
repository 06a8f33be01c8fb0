"""Files to and from a Gradio app: through its own upload and file routes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import FormData
from yarl import URL

from chutes_wrappers.runtime.call_errors import LARGEST_QUOTED_BYTES, CallFailed, service_error
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.gradio_arguments import FILE_MARK
from chutes_wrappers.runtime.media_types import type_of_name
from chutes_wrappers.runtime.service_headers import header_of

# All files of one answer together.
LARGEST_FILES_BYTES = 512 * 1024**2
NO_LIMIT = aiohttp.ClientTimeout(total=None)
AS_IT_IS = {"Accept-Encoding": "identity"}
_DEEPEST = 100


async def upload(session: aiohttp.ClientSession, api: str, values: list[Any]) -> list[Any]:
    """``values`` with every ``File`` in them uploaded, in one request, and replaced by the app's own word for it."""
    files = list(_files_in(values))
    if not files:
        return values
    form = FormData(quote_fields=False)
    for file in files:
        # Not the bytes themselves: aiohttp warns of a body that it would send in one piece.
        form.add_field("files", io.BytesIO(file.data), filename=_plain_name(file), content_type=_plain_type(file))
    async with session.post(URL(f"{api}/upload"), data=form, headers=AS_IT_IS, timeout=NO_LIMIT) as answer:
        paths = await checked_json(answer)
    if not isinstance(paths, list) or len(paths) != len(files):
        raise CallFailed("the app took the files and did not say where it put them")
    places = iter([_reference(file, path) for file, path in zip(files, paths, strict=True)])
    replaced: list[Any] = _replaced(values, lambda _: next(places))
    return replaced


async def download(session: aiohttp.ClientSession, api: str, reference: Mapping[str, Any], most_bytes: int) -> File:
    """The file that ``reference``, a value of the app, stands for. CallRefused when it has more than ``most_bytes``."""
    path = str(reference["path"])
    url = URL(f"{api}/file={quote(path)}", encoded=True)
    async with session.get(url, headers=AS_IT_IS, timeout=NO_LIMIT) as answer:
        await check(answer)
        data = await _bytes(answer, most_bytes)
        served_as = header_of(answer, "Content-Type")
    name = str(reference.get("orig_name") or path.replace("\\", "/").rsplit("/", 1)[-1])
    return File(filename=name, content_type=_type(reference, served_as, name), data=data)


def is_downloadable(value: Any) -> bool:
    """Whether ``value`` is a file that the app holds: not a stream of pieces, nor an address elsewhere."""
    if not isinstance(value, Mapping) or value.get("meta") != FILE_MARK or value.get("is_stream"):
        return False
    path = value.get("path")
    return isinstance(path, str) and bool(path) and not path.startswith(("http://", "https://"))


def references_in(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every file that the app holds in ``value``, in order."""
    _check_depth(depth)
    if is_downloadable(value):
        yield value
    else:
        for item in _children(value):
            yield from references_in(item, depth + 1)


def with_files(value: Any, files: Iterator[File]) -> Any:
    """``value`` with its files, in the order of ``references_in``, as callers read them."""
    if is_downloadable(value):
        return next(files).as_json()
    if isinstance(value, Mapping):
        return {key: with_files(item, files) for key, item in value.items()}
    return [with_files(item, files) for item in value] if isinstance(value, list) else value


async def check(answer: aiohttp.ClientResponse) -> None:
    """CallRefused with what the app says unless ``answer`` is a success; its detail holds the ``status``."""
    if answer.status >= 300:
        quoted = await answer.content.read(LARGEST_QUOTED_BYTES + 1)
        raise service_error(answer.status, header_of(answer, "Content-Type"), quoted)


async def checked_json(answer: aiohttp.ClientResponse) -> Any:
    """The JSON of a successful answer."""
    await check(answer)
    try:
        return await answer.json(content_type=None)
    except ValueError as error:
        raise CallFailed("the app answered something that is not JSON") from error


async def _bytes(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > most_bytes:
            raise CallFailed(f"the files of the answer are larger than {LARGEST_FILES_BYTES // 1024**2} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def _files_in(value: Any, depth: int = 0) -> Iterator[File]:
    if isinstance(value, File):
        yield value
    elif depth < _DEEPEST:
        for item in _children(value):
            yield from _files_in(item, depth + 1)


def _replaced(value: Any, replace: Callable[[File], Any], depth: int = 0) -> Any:
    if isinstance(value, File):
        return replace(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {key: _replaced(item, replace, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < _DEEPEST:
        return [_replaced(item, replace, depth + 1) for item in value]
    return value


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise CallFailed("the app's answer is nested too deeply")


def _reference(file: File, path: Any) -> dict[str, Any]:
    return {
        "path": path,
        "orig_name": file.filename,
        "mime_type": file.content_type,
        "size": len(file.data),
        "meta": FILE_MARK,
    }


def _plain_name(file: File) -> str:
    # The app makes a path of it: what a folder or a file system would stumble over stays in `orig_name` only.
    return file.filename.replace("\\", "/").rsplit("/", 1)[-1].replace('"', "_") or "file"


def _plain_type(file: File) -> str:
    return file.content_type if file.content_type.isascii() and "/" in file.content_type else BINARY_TYPE


def _type(reference: Mapping[str, Any], served_as: str, name: str) -> str:
    """The app serves what a browser might run, and in older versions sound too, as plain bytes: the name knows better."""
    named = reference.get("mime_type")
    if isinstance(named, str) and named:
        return named
    if served_as and not served_as.startswith(BINARY_TYPE):
        return served_as
    return type_of_name(name) or BINARY_TYPE
