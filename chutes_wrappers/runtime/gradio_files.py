"""Upload and download of files through the routes of a Gradio app."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import FormData
from yarl import URL

from chutes_wrappers.core.module_headers import add_default_headers
from chutes_wrappers.core.path_segments import find_path_problem
from chutes_wrappers.runtime.call_errors import MAX_QUOTED_BYTES, CallFailed, make_service_error
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.gradio_arguments import FILE_MARK
from chutes_wrappers.runtime.media_types import guess_type_of_name
from chutes_wrappers.runtime.service_headers import read_header

# All files of one response together.
MAX_FILES_BYTES = 512 * 1024**2
# The app serves its API itself: a redirect may lead to another service, or another host.
_REQUEST_OPTIONS: dict[str, Any] = {"timeout": aiohttp.ClientTimeout(total=None), "allow_redirects": False}
_MAX_DEPTH = 100


class AppSession:
    """A session for requests to an app, all of which have ``headers``. Nothing is compressed, redirected or timed out."""

    def __init__(self, session: aiohttp.ClientSession, headers: Mapping[str, str] | None = None) -> None:
        self._session = session
        self._headers = add_default_headers({"Accept-Encoding": "identity"}, headers or {})

    def get(self, url: URL) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a GET."""
        return self._session.get(url, headers=self._headers, **_REQUEST_OPTIONS)

    def post(
        self, url: URL, data: FormData | bytes, content_type: str = ""
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a POST; a form has its own content type."""
        headers = {**self._headers, **({"Content-Type": content_type} if content_type else {})}
        return self._session.post(url, data=data, headers=headers, **_REQUEST_OPTIONS)


async def upload(session: AppSession, api: str, values: list[Any]) -> list[Any]:
    """Upload every ``File`` in ``values`` in one request, and return ``values`` with the app's references in their place."""
    files = list(_iter_files(values))
    if not files:
        return values
    form = FormData(quote_fields=False)
    for file in files:
        # Not the bytes themselves: aiohttp warns about a body that it would send in one piece.
        form.add_field(
            "files", io.BytesIO(file.data), filename=_build_upload_name(file), content_type=_build_upload_type(file)
        )
    async with session.post(URL(f"{api}/upload"), form) as response:
        paths = await read_json(response)
    if not isinstance(paths, list) or len(paths) != len(files):
        raise CallFailed("the app accepted the files, but did not return their paths")
    references = iter([_build_reference(file, path) for file, path in zip(files, paths, strict=True)])
    replaced: list[Any] = _replace_files(values, lambda _: next(references))
    return replaced


async def download(session: AppSession, api: str, reference: Mapping[str, Any], max_bytes: int) -> File:
    """Download the file of ``reference``, a value of the app. Raises CallFailed if it has more than ``max_bytes``."""
    path = str(reference["path"])
    url = URL(f"{api}/file={quote(path)}", encoded=True)
    async with session.get(url) as response:
        await check_response(response)
        data = await _read_bytes(response, max_bytes)
        content_type = read_header(response, "Content-Type")
    name = str(reference.get("orig_name") or path.replace("\\", "/").rsplit("/", 1)[-1])
    return File(filename=name, content_type=_select_content_type(reference, content_type, name), data=data)


def is_downloadable(value: Any) -> bool:
    """Return whether ``value`` is a file that the app serves: not a stream of pieces, a URL elsewhere, or another path.

    An app that returns its input lets a caller choose the path.
    """
    if not isinstance(value, Mapping) or value.get("meta") != FILE_MARK or value.get("is_stream"):
        return False
    path = value.get("path")
    if not isinstance(path, str) or not path or path.startswith(("http://", "https://")):
        return False
    return find_path_problem(path) is None


def iter_references(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield every file that the app serves in ``value``, in order."""
    _check_depth(depth)
    if is_downloadable(value):
        yield value
    else:
        for item in _iter_children(value):
            yield from iter_references(item, depth + 1)


def replace_references(value: Any, files: Iterator[File]) -> Any:
    """Return ``value`` with ``files`` in the place of its references, in the order of ``iter_references``."""
    if is_downloadable(value):
        return next(files).to_json()
    if isinstance(value, Mapping):
        return {key: replace_references(item, files) for key, item in value.items()}
    return [replace_references(item, files) for item in value] if isinstance(value, list) else value


async def check_response(response: aiohttp.ClientResponse) -> None:
    """Raise CallFailed with the app's error unless ``response`` is a success; its detail contains the ``status``."""
    if response.status >= 300:
        body = await response.content.read(MAX_QUOTED_BYTES + 1)
        raise make_service_error(response.status, read_header(response, "Content-Type"), body)


async def read_json(response: aiohttp.ClientResponse) -> Any:
    """Return the JSON of a successful response. Raises CallFailed."""
    await check_response(response)
    try:
        return await response.json(content_type=None)
    except ValueError as error:
        raise CallFailed("the response of the app is not JSON") from error


async def _read_bytes(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise CallFailed(f"the files of the response are larger than {MAX_FILES_BYTES // 1024**2} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def _iter_files(value: Any, depth: int = 0) -> Iterator[File]:
    if isinstance(value, File):
        yield value
    elif depth < _MAX_DEPTH:
        for item in _iter_children(value):
            yield from _iter_files(item, depth + 1)


def _replace_files(value: Any, replace: Callable[[File], Any], depth: int = 0) -> Any:
    if isinstance(value, File):
        return replace(value)
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {key: _replace_files(item, replace, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_replace_files(item, replace, depth + 1) for item in value]
    return value


def _iter_children(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise CallFailed("the app's response is nested too deeply")


def _build_reference(file: File, path: Any) -> dict[str, Any]:
    return {
        "path": path,
        "orig_name": file.filename,
        "mime_type": file.content_type,
        "size": len(file.data),
        "meta": FILE_MARK,
    }


def _build_upload_name(file: File) -> str:
    # The app uses it as a path: what is invalid in a folder or file name stays in `orig_name` only.
    return file.filename.replace("\\", "/").rsplit("/", 1)[-1].replace('"', "_") or "file"


def _build_upload_type(file: File) -> str:
    return file.content_type if file.content_type.isascii() and "/" in file.content_type else BINARY_TYPE


def _select_content_type(reference: Mapping[str, Any], content_type: str, name: str) -> str:
    """Prefer the type by name to plain bytes: the app serves active content, and sound in older versions, as plain bytes."""
    mime_type = reference.get("mime_type")
    if isinstance(mime_type, str) and mime_type:
        return mime_type
    if content_type and not content_type.startswith(BINARY_TYPE):
        return content_type
    return guess_type_of_name(name) or BINARY_TYPE
