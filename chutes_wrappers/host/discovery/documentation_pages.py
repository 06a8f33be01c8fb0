"""URLs of specifications in a service's documentation page. Pure."""

from __future__ import annotations

import html
import re

_MAX_URLS = 5
_MAX_PAGE_CHARACTERS = 1024**2
_QUOTED = r"""\s{0,9}["']([^"'<>\s]{1,2000})["']"""
_SPECIFICATION = re.compile(
    "|".join((
        rf"(?:spec-url|specUrl|apiDescriptionUrl|data-url)\s{{0,9}}=\s{{0,9}}{_QUOTED}",  # Redoc, Elements, Scalar
        rf"Redoc\.init\({_QUOTED}",
        rf"""\burl["']?\s{{0,9}}:{_QUOTED}""",  # Swagger UI: SwaggerUIBundle({url: …}), urls: [{url: …}]
    )),
    re.IGNORECASE,
)  # fmt: skip
_SCRIPT = re.compile(
    r"""src\s{0,9}=\s{0,9}["']([^"'<>\s]{0,500}swagger-initializer[^"'<>\s]{0,100})["']""", re.IGNORECASE
)


def find_specification_urls(page: str) -> tuple[str, ...]:
    """Return the URLs of specifications in a Swagger UI or Redoc page, or in its script: as written, in order, at most 5."""
    return _find_urls(_SPECIFICATION, page)


def find_script_urls(page: str) -> tuple[str, ...]:
    """Return the URLs of the scripts in which Swagger UI's distribution sets the specification."""
    return _find_urls(_SCRIPT, page)


def _find_urls(pattern: re.Pattern[str], page: str) -> tuple[str, ...]:
    urls: dict[str, None] = {}
    for match in pattern.finditer(page[:_MAX_PAGE_CHARACTERS]):
        url = next(group for group in match.groups() if group)
        urls.setdefault(html.unescape(url).replace("\\/", "/"))
        if len(urls) == _MAX_URLS:
            break
    return tuple(urls)
