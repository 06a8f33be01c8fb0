from __future__ import annotations

import time

import pytest

from chutes_wrappers.host.discovery.documentation_pages import (
    find_embedded_documents,
    find_header_urls,
    find_page_urls,
    find_script_urls,
    find_specification_urls,
)


@pytest.mark.parametrize(
    ("page", "urls"),
    [
        ("<script>const ui = SwaggerUIBundle({\n        url: '/v2/openapi.json',\n})</script>", ("/v2/openapi.json",)),
        ('<redoc spec-url="/spec.yaml?a=1&amp;b=2"></redoc>', ("/spec.yaml?a=1&b=2",)),
        ("Redoc.init('api.json', {}, el)", ("api.json",)),
        (
            '{"configUrl": "/c", "urls": [{"url": "\\/a.json", "name": "a"}, {"url": "/b.json"}]}',
            ("/c", "/a.json", "/b.json"),
        ),
        ('<elements-api apiDescriptionUrl="openapi.yaml"/>', ("openapi.yaml",)),
        ('<script id="api-reference" data-url="/scalar.json">', ("/scalar.json",)),
        ("<a href='/x'>curl: 'nothing'</a>", ()),
        ("", ()),
    ],
)
def test_documentation_pages_name_their_specification(page: str, urls: tuple[str, ...]) -> None:
    assert find_specification_urls(page) == urls


def test_the_script_of_swagger_uis_distribution_is_found() -> None:
    assert find_script_urls('<script src="./swagger-initializer.js" charset="UTF-8"></script>') == (
        "./swagger-initializer.js",
    )


@pytest.mark.parametrize("noise", ["url: '", 'spec-url="', "src='", "src='swagger-initializer", "url" + " " * 50])
def test_a_malicious_page_is_read_in_bounded_time(noise: str) -> None:
    page = noise * (2 * 1024**2 // len(noise))
    started = time.perf_counter()
    assert len(find_specification_urls(page)) <= 8
    assert len(find_script_urls(page)) <= 8
    assert time.perf_counter() - started < 60


@pytest.mark.parametrize(
    "noise",
    [
        '<script "json"', "<link ", '"location":"', "{'a':", "spec: {", "JSON.parse('", '{"openapi":"3.', "<a href=", "`api-docs",
        '"openapi' * 30, "<script>{", 'spec={"', '"service-desc":[',
    ],
)  # fmt: skip
def test_embedded_specifications_and_links_are_searched_in_bounded_time(noise: str) -> None:
    page = '"swagger": "2.0"' + noise * (128 * 1024 // len(noise))
    assert find_embedded_documents(page) == ()
    assert len(find_page_urls(page)) <= 8
    assert find_header_urls("<a>;" * 10_000) == ()
