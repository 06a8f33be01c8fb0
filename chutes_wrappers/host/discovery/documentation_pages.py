"""What a documentation page, its script or its configuration says about specifications: URLs, and specifications inside. Pure.

The text is a service's own: HTML, JavaScript or JSON. It is searched in bounded time.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.documents import parse_document

_MAX_URLS = 8
_MAX_PAGE_CHARACTERS = 1024**2
_MAX_SCRIPT_CHARACTERS = 8 * 1024**2
_MAX_CANDIDATES = 20
_QUOTED = r"""\s{0,9}["'`]([^"'`<>\s]{1,2000})["'`]"""
_URL_KEYS = r"spec-?url|apiDescriptionUrl|data-url|configUrl|swagger_?url|openapi_?url|(?:definition|document|schema|json|yaml)_?url"
_SPECIFICATION = re.compile(
    "|".join((
        rf"\b(?:{_URL_KEYS})[\"']?\s{{0,9}}[=:]{_QUOTED}",  # Redoc, Elements, Scalar, RapiDoc, springdoc
        rf"(?:Redoc\.init|fetch|createApiReference)\({_QUOTED}",
        rf"""\burl["']?\s{{0,9}}[:=]{_QUOTED}""",  # Swagger UI: SwaggerUIBundle({{url: …}}), urls: [{{url: …}}]
        rf"""["']location["']\s{{0,9}}:{_QUOTED}""",  # springfox's list of resources
        # Anything that is named like a specification.
        r"""["'`]([^"'`<>\s]{0,300}(?:openapi|swagger|api-?docs?|apispec)[^"'`<>\s]{0,100}\.(?:json|ya?ml)(?:\?[^"'`<>\s]{0,200})?)["'`]""",
    )),
    re.IGNORECASE,
)  # fmt: skip
# RFC 8631 and RFC 9727, as an element, and as the value of the header.
_LINK_ELEMENT = re.compile(r"<(?:link|a)\b([^<>]{1,1000})>", re.IGNORECASE)
_HREF = re.compile(rf"\b(?:href|src)\s{{0,9}}={_QUOTED}", re.IGNORECASE)
_DESCRIBED = re.compile(
    r"\b(?:service-desc|describedby|api-catalog|service-doc)\b|application/(?:vnd\.oai\.)?openapi", re.IGNORECASE
)
_LINK_VALUE = re.compile(r"<([^<>\s]{1,2000})>((?:\s{0,9};[^,<>]{1,300}){1,9})")
_LINK_SET = re.compile(r'"(?:service-desc|describedby|service-doc)"\s{0,9}:\s{0,9}\[([^\]]{0,20000})', re.IGNORECASE)
# Links and redirects that lead to documentation.
_PAGE_LINK = re.compile(
    rf"(?:\b(?:href|src|location)\s{{0,9}}={_QUOTED}|\burl=([^\"'<>\s]{{1,500}})|\blocation\.(?:replace|assign)\({_QUOTED})",
    re.IGNORECASE,
)
_DOCUMENTATION_NAME = re.compile(
    r"(?:^|[/._-])(?:openapi|swagger|api-?docs?|apispec|apidocs?|redoc|scalar|rapidoc|documentation|docs?|schema|spec|reference)"
    r"(?:$|[/._?#-]|ui)",
    re.IGNORECASE,
)
_ASSET = re.compile(r"\.(?:css|png|ico|svg|js|mjs|map|woff2?|md|txt|pdf)(?:[?#]|$)", re.IGNORECASE)
_SCRIPT = re.compile(r"""<script\b[^<>]{0,500}\bsrc\s{0,9}=\s{0,9}["']([^"'<>\s]{1,500})["']""", re.IGNORECASE)
_SCRIPT_NAME = re.compile(
    r"initializer|-init\b|init\.js|swagger|redoc|openapi|scalar|rapidoc|spec|docs?\b", re.IGNORECASE
)
_LIBRARY = re.compile(r"bundle|preset|standalone|\.min\.js|webcomponents|elements\.js|rapidoc[^/]*\.js", re.IGNORECASE)
_BASE = re.compile(rf"<base\b[^<>]{{0,200}}\bhref\s{{0,9}}={_QUOTED}", re.IGNORECASE)
_JSON_PARSE = re.compile(r"""JSON\.parse\(\s{0,9}(?=["'])""")
_OBJECT_START = re.compile(
    r"""(?:\b(?:spec|swaggerDoc|content|document|definition|apiDescriptionDocument|data|openapi|swagger|schema)["']?\s{0,9}[:=]"""
    r"""|\bconst\s\w{1,40}\s{0,9}=|\bvar\s\w{1,40}\s{0,9}=|\blet\s\w{1,40}\s{0,9}="""
    r"""|<script\b(?P<attributes>[^<>]{0,300})>)\s{0,99}(?=\{)""",
    re.IGNORECASE,
)
_VERSION = re.compile(r"""["']?(?:openapi|swagger)["']?\s{0,9}:\s{0,9}["'][23]\.""")
_TEMPLATE = re.compile(r"\$\{|\{\{|<%|\+")  # not a URL before it is filled in
_ESCAPE = re.compile(r"\\(?:u00([0-9a-fA-F]{2})|x([0-9a-fA-F]{2})|/)")


def find_specification_urls(page: str) -> tuple[str, ...]:
    """Return the URLs of specifications in a page, a script or a configuration: as written, in order, at most 8."""
    text = html.unescape(page[:_MAX_PAGE_CHARACTERS])
    sets = "".join(match.group(1) for match in _LINK_SET.finditer(text))
    elements = (match.group(1) for match in _LINK_ELEMENT.finditer(text))
    described = (
        match.group(1) for element in elements if _DESCRIBED.search(element) for match in _HREF.finditer(element)
    )
    in_sets = re.findall(rf'"href"\s{{0,9}}:{_QUOTED}', sets)
    return _select_urls((*described, *in_sets, *_iterate_matches(_SPECIFICATION, text)))


def find_header_urls(header: str) -> tuple[str, ...]:
    """Return the URLs that a ``Link`` header names as descriptions of the service (RFC 8631)."""
    matches = _LINK_VALUE.finditer(header[:20_000])
    return _select_urls(match.group(1) for match in matches if _DESCRIBED.search(match.group(2)))


def find_page_urls(page: str) -> tuple[str, ...]:
    """Return the URLs of further documentation pages, or of specifications, to which a page links or redirects."""
    urls = _iterate_matches(_PAGE_LINK, html.unescape(page[:_MAX_PAGE_CHARACTERS]))
    return _select_urls(url for url in urls if _DOCUMENTATION_NAME.search(url) and not _ASSET.search(url))


def find_script_urls(page: str) -> tuple[str, ...]:
    """Return the URLs of the scripts in which a documentation page sets its specification, without those of libraries."""
    urls = _iterate_matches(_SCRIPT, page[:_MAX_PAGE_CHARACTERS])
    return _select_urls(url for url in urls if _SCRIPT_NAME.search(url) and not _LIBRARY.search(url))


def find_base_url(page: str) -> str:
    """Return the URL to which those of a page are relative; empty when it sets none."""
    match = _BASE.search(page[:20_000])
    return html.unescape(match.group(1)) if match else ""


def find_embedded_documents(page: str) -> tuple[dict[str, Any], ...]:
    """Return the specifications inside a page or a script, as JSON, as a JavaScript object, or as a string of JSON."""
    text = page[:_MAX_SCRIPT_CHARACTERS]
    if not _VERSION.search(text.replace('\\"', '"')):
        return ()
    documents = [*_iterate_strings(text), *_iterate_objects(text)]
    return tuple(documents[:_MAX_URLS])


def _iterate_matches(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for match in pattern.finditer(text):
        yield next(group for group in match.groups() if group)


def _select_urls(urls: Iterable[str]) -> tuple[str, ...]:
    selected: dict[str, None] = {}
    for url in urls:
        if not _TEMPLATE.search(url):
            selected.setdefault(_ESCAPE.sub(_decode_escape, url))
        if len(selected) == _MAX_URLS:
            break
    return tuple(selected)


def _decode_escape(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2)
    return chr(int(code, 16)) if code else "/"


def _iterate_strings(text: str) -> Iterator[dict[str, Any]]:
    """Yield each specification that is a string of JSON."""
    for _, match in zip(range(_MAX_CANDIDATES), _JSON_PARSE.finditer(text), strict=False):
        document = _parse_specification(_read_string(text, match.end()))
        if document is not None:
            yield document


def _iterate_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield each specification that is an object, on its own or within another object."""
    position = 0
    for _ in range(_MAX_CANDIDATES):
        match = _OBJECT_START.search(text, position)
        if match is None:
            return
        position = match.end()
        if match.group("attributes") is None or "json" in match.group("attributes").lower():
            source = _read_braces(text, position)
            document = _parse_specification(source)
            if document is not None:
                yield document
                position += len(source)


def _read_string(text: str, start: int) -> str:
    """Return the value of the JavaScript string at ``start``; empty when it is not one of JSON's."""
    match = re.compile(r'"(?:[^"\\\n]|\\.)*"' if text[start] == '"' else r"'(?:[^'\\\n]|\\.)*'").match(text, start)
    if match is None:
        return ""
    literal = match.group()
    if literal[0] == "'":
        literal = '"' + literal[1:-1].replace("\\'", "'").replace('\\"', '"').replace('"', '\\"') + '"'
    try:
        return str(json.loads(literal))
    except ValueError:
        return ""


def _read_braces(text: str, start: int) -> str:
    """Return the text from the brace at ``start`` to its partner; empty without one."""
    depth = 0
    for match in re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[{}]').finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return text[start : match.end()]
    return ""


def _parse_specification(source: str) -> dict[str, Any] | None:
    """Return a specification in JSON, or in what of JavaScript is YAML as well; None when it is something else."""
    if not _VERSION.search(source):
        return None
    for content_type in ("application/json", "application/yaml"):
        try:
            document = parse_document(source.encode("utf-8", "replace"), content_type)
        except WrapperError:
            continue
        is_specification = str(document.get("openapi", document.get("swagger", "")))[:1] in ("2", "3")
        return document if is_specification and isinstance(document.get("paths"), dict) else None
    return None
