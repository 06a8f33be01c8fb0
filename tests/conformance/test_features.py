"""Each feature of OpenAPI that says something about a request: what arrives is what the specification says.

A feature that is not carried is listed at discovery, or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.runtime.call_errors import CallFailed
from tests.conformance.exchange import Exchange, build_direct, discover, open_exchange
from tests.conformance.feature_table import FEATURES, PATH, build_table
from tests.conformance.features import Feature, Request


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with open_exchange() as opened:
        yield opened


def find_cords(feature: Feature, version: str, port: int) -> tuple[dict[str, Any], tuple[PlannedCord, ...]]:
    """Return the document of a version and its published routes, after a look at what discovery lists."""
    document = feature.build_document(version)
    operations, cords = discover(document, port)
    listed = [*operations.notes, *(skipped.reason for skipped in operations.skipped)]
    if feature.listed:
        assert any(feature.listed in line for line in listed)
    else:
        assert listed == []
    return document, cords


@pytest.mark.parametrize("feature", [pytest.param(feature, id=feature.id) for feature in FEATURES])
def test_what_the_specification_says_arrives(exchange: Exchange, feature: Feature) -> None:
    if feature.request is None:
        check_refusal(exchange, feature)
        return
    document, cords = find_cords(feature, feature.versions[0], exchange.port)
    cord = next(cord for cord in cords if cord.route.upstream_method == feature.request.method)
    assert exchange.call(cord, feature.call) == feature.request
    direct = build_direct(document, cord.route, exchange.port, feature.call)
    assert exchange.send_direct(direct) == feature.request
    assert exchange.forward(cords, feature.request) == feature.request
    for version in feature.versions[1:]:  # the same route and the same direct request
        document, others = find_cords(feature, version, exchange.port)
        assert [other.route for other in others] == [cord.route for cord in cords]
        assert build_direct(document, cord.route, exchange.port, feature.call) == direct


def check_refusal(exchange: Exchange, feature: Feature) -> None:
    """No route has the feature, so that only the tunnel carries it, or a call of its route is refused."""
    for version in feature.versions:
        _, cords = find_cords(feature, version, exchange.port)
        if cords:
            with pytest.raises(CallFailed):
                exchange.call(cords[0], feature.call)
        else:
            with pytest.raises(TunnelRequired):
                exchange.forward(cords, Request(method=feature.method.upper(), target=feature.path))


def test_names_of_features_are_unique() -> None:
    names = [feature.id for feature in FEATURES]
    assert len(set(names)) == len(names)


def test_the_table_in_the_docs_has_these_features() -> None:
    assert PATH.read_text() == build_table()
