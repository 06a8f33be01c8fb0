from __future__ import annotations

import ast

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.manifest import Manifest, merge_static_routes, parse_routes
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse, Verdict
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.outcomes import build_outcome


def test_the_line_for_a_hidden_stream_makes_the_route_one() -> None:
    route = Route(path="/rooms/room", method="GET", target_path="/rooms/{room}", port=8020)
    (cord,) = plan_cords([route], 8020).cords
    call = PublicCall(method="GET", path="/rooms/room", example={})
    service = HttpResponse(status=200, content_type="text/event-stream", body=b"data: 1\n\n", is_cut=True)
    outcome = build_outcome(cord, call, verdict=Verdict(kind="failing", message="no end"), service=service)
    line = next(each for each in outcome.fix.splitlines() if "CHUTE_STATIC_ROUTES = " in each)
    static = parse_routes(ast.literal_eval(line.partition(" = ")[2]), where="test")
    merged, warnings = merge_static_routes(Manifest(routes=(route,)), static)
    assert [each.stream for each in merged.routes] == [True]
    assert not warnings
