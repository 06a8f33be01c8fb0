"""A service's own words, and the lines that help."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse, Verdict
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.outcomes import Outcome
from chutes_wrappers.host.parity.refusals import Refusal, list_refusals, quote_words


def refuse(
    status: int, body: Any, *, challenge: str = "", example: dict[str, Any] | None = None, **route: Any
) -> Refusal:
    """Return what is said of a route whose example the service refused."""
    (cord,) = plan_cords([Route.model_validate({"path": "/items", **route})], 9000, expose=["parameters"]).cords
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    outcome = Outcome(
        call=PublicCall(method=cord.public_method, path=cord.public_path, example=example or {}),
        encoding="json",
        response=HttpResponse(status=400),
        verdict=Verdict(kind="not proven", message=""),
        cord=cord,
        service_response=HttpResponse(status=status, body=data, challenge=challenge),
    )
    (refusal,) = list_refusals([outcome], "chat")
    return refusal


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": [{"loc": ["body", "prompt"], "msg": "Field required"}]}, "body.prompt: Field required"),
        ({"title": "Bad", "detail": "n is too small"}, "n is too small; Bad"),
        ({"error": {"message": "No model"}}, "No model"),
        ({"errors": [{"message": "a"}, {"message": "b"}]}, "a; b"),
        (b"<html><h1>Not  Found</h1></html>", "Not Found"),
        (b"\xff\x00 bad", "\ufffd  bad"),
    ],
)
def test_the_words_of_many_frameworks_are_found(body: Any, words: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert quote_words(HttpResponse(status=422, body=data)) == words


def test_named_fields_become_an_example() -> None:
    body = {"detail": [{"loc": ["body", "prompt"], "msg": "required"}, {"loc": ["query", "n"], "msg": "required"}]}
    advice = refuse(422, body, example={"model": "m", "messages": [1]}).advice
    expected = {"POST /items": {"model": "m", "messages": "…", "prompt": "…", "n": "…"}}
    assert f"    CHUTE_EXAMPLES = {json.dumps(expected, ensure_ascii=False)}" in advice
    assert '"name": "…"' in refuse(400, {"errors": [{"pointer": "#/name", "detail": "missing"}]}).advice


@pytest.mark.parametrize(
    ("parameters", "challenge", "line"),
    [
        ([], "", '    CHUTE_HEADERS = {"Authorization": "Bearer ${SERVICE_KEY}"}'),
        ([], 'Basic realm="x"', '    CHUTE_HEADERS = {"Authorization": "Basic ${SERVICE_KEY}"}'),
        (["header"], "", '    CHUTE_HEADERS = {"key": "${SERVICE_KEY}"}'),
        (["query"], "", '    CHUTE_EXAMPLES = {"POST /items": {"key": "…"}}'),
    ],
)
def test_a_401_asks_for_the_credentials_that_the_service_wants(
    parameters: list[str], challenge: str, line: str
) -> None:
    declared = [{"name": "key", "in": place, "credential": True} for place in parameters]
    refusal = refuse(401, {"detail": "no"}, challenge=challenge, parameters=declared)
    assert line in refusal.advice
    assert refusal.format_title().startswith("credentials are missing or wrong")
    assert ("--secret chat SERVICE_KEY" in refusal.advice) == ("CHUTE_HEADERS" in line)


def test_a_failure_of_the_service_is_not_called_a_refusal() -> None:
    assert "the service itself failed with 500" in refuse(500, {"detail": "no"}).format_title()
    assert "the service refused the example with 501" in refuse(501, {"detail": "no"}).format_title()


def test_lines_are_python() -> None:
    example = {"is_new": True, "limit": None, "text": 'a "b" é'}
    line = refuse(422, {"detail": "no"}, example=example).advice.splitlines()[-1]
    assert ast.literal_eval(line.partition(" = ")[2]) == {"POST /items": example}


def test_the_value_of_a_credential_is_not_repeated() -> None:
    declared = [{"name": "key", "in": "query", "credential": True}]
    assert "canary" not in refuse(422, {"detail": "no"}, parameters=declared, example={"key": "canary"}).advice


def test_a_made_up_id_can_come_from_another_response() -> None:
    route: dict[str, Any] = {"path": "/items/{id}", "parameters": [{"name": "id", "in": "path", "required": True}]}
    advice = refuse(404, {"detail": "no"}, example={"id": "hello"}, **route).advice
    assert '{"id": "…"}' in advice  # no route creates or lists items


def test_other_statuses_have_their_own_advice() -> None:
    typed = ast.literal_eval(refuse(415, {}).advice.splitlines()[-1].strip())
    assert Route.model_validate(typed).target_path == "/items"
    assert 'CHUTE_CHECKS = {"POST /items": {"status": 410}}' in refuse(410, {"detail": "gone"}).advice
    assert 'CHUTE_CHECKS = {"POST /items": {"skip": "the reason"}}' in refuse(501, {}).advice
    assert 'CHUTE_CHECKS = {"POST /items": {"status": 405}}' in refuse(405, {}).advice
    assert 'CHUTE_CHECKS = {"POST /items": {"skip": "the reason"}}' in refuse(500, {"detail": "KeyError"}).advice
