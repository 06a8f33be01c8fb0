"""``CHUTE_HEADERS`` as modules write it: what is selected for a request, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import add_default_headers, parse_headers, read_module_headers

VALUE = "value-that-is-secret"
HEADERS = {
    "Authorization": "Bearer ${SERVICE_KEY}",
    "X-Literal": " $${NAME} $5 ",
    8020: {"X-Port": "${PORT_KEY}", "authorization": "Basic ${PORT_KEY}"},
    "post /v1/items/{id}": {"X-Route": "any item"},
    "POST /v1/items/first": {"X-Route": "the first", "X-Port": None},
}


def test_a_route_overrides_a_port_and_a_port_overrides_the_general_headers() -> None:
    headers = parse_headers(HEADERS, "m.py")
    assert headers.variables == ("PORT_KEY", "SERVICE_KEY")
    assert headers.find_unset({"SERVICE_KEY": " ", "PORT_KEY": "b"}) == ("SERVICE_KEY",)
    resolved = headers.resolve({"SERVICE_KEY": "a\n", "PORT_KEY": "b"})
    assert resolved.select(8080) == {"Authorization": "Bearer a", "X-Literal": "${NAME} $5"}
    assert resolved.select(8020) == {"authorization": "Basic b", "X-Literal": "${NAME} $5", "X-Port": "b"}
    assert resolved.select(8080, ("POST", "/v1/items/7"))["X-Route"] == "any item"
    assert resolved.select(8080, ("GET", "/v1/items/7")) == resolved.select(8080, ("POST", "/v1/items/7/parts"))
    first = resolved.select(8020, ("POST", "/x"), ("post", "/v1/items/first"))
    assert (first["X-Route"], "X-Port" in first) == ("the first", False)


def test_a_variable_that_was_read_as_json_is_the_same() -> None:
    assert parse_headers(json.loads(json.dumps(HEADERS)), "m.py") == parse_headers(HEADERS, "m.py")


def test_values_are_not_shown() -> None:
    headers = parse_headers({"X-Key": VALUE, 80: {"X-Key": VALUE}, "GET /": {"X-Key": VALUE}}, "m.py")
    assert VALUE not in repr(headers)
    assert [*headers.iter_literals()] == [("X-Key", VALUE)] * 3


@pytest.mark.parametrize(
    ("value", "where", "reason"),
    [
        (["X-Key"], "m.py, CHUTE_HEADERS", "a list, not a dictionary"),
        ({"X Key": VALUE}, "CHUTE_HEADERS['X Key']", "not a valid header name"),
        ({"X-Schlüssel": VALUE}, "CHUTE_HEADERS['X-Schlüssel']", "not a valid header name"),
        ({7: VALUE}, "CHUTE_HEADERS", "the key 7 is a int"),
        ({"Host": VALUE}, "CHUTE_HEADERS['Host']", "header of the connection"),
        ({"Transfer-Encoding": VALUE}, "['Transfer-Encoding']", "header of the connection"),
        ({"content-type": VALUE}, "['content-type']", "belongs to each body"),
        ({"X-Key": VALUE + "\r\nX: y"}, "['X-Key']", "line breaks"),
        ({"X-Key": ""}, "['X-Key']", "empty"),
        ({"X-Key": 5}, "['X-Key']", "a int"),
        ({"X-Key": VALUE + "${not-a-name}"}, "['X-Key']", "does not begin a variable"),
        ({"X-Key": VALUE + "${"}, "['X-Key']", "does not begin a variable"),
        ({"X-Key": VALUE, "x-key": VALUE}, "CHUTE_HEADERS", "there twice"),
        ({8020: {"X-Key": [VALUE]}}, "CHUTE_HEADERS[8020]['X-Key']", "a list"),
        ({0: {}}, "CHUTE_HEADERS", "not a port"),
        ({True: {}}, "CHUTE_HEADERS", "not a port"),
        ({"/v1/x": {"X-Key": VALUE}}, "CHUTE_HEADERS", "not a port .* or a route"),
        ({"GET /x": {"GET /y": {}}}, "CHUTE_HEADERS['GET /x']['GET /y']", "not a valid header name"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_its_value(value: Any, where: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse_headers(value, "m.py")
    assert where in str(caught.value)
    assert VALUE not in str(caught.value)


def test_a_variable_of_the_image_is_refused_with_the_command_that_stores_it() -> None:
    module = {
        "CHUTE_HEADERS": {"X-Key": "${KEY}"},
        "CHUTE_ENV": {"KEY": VALUE},
        "CHUTE_NAME": "ocr",
        "__file__": "/m.py",
    }
    with pytest.raises(ConfigurationError, match="KEY is in CHUTE_ENV") as caught:
        read_module_headers(module)
    assert "./deploy.sh --secret ocr KEY" in str(caught.value)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("end", ["\nX: y", "\x00", "\udcff"])
def test_a_value_that_no_header_can_have_is_refused_by_the_name_of_its_variable(end: str) -> None:
    headers = parse_headers({"X-Key": "${KEY}"}, "m.py")
    with pytest.raises(ConfigurationError, match="the value of KEY") as caught:
        headers.resolve({"KEY": VALUE + end})
    assert VALUE not in str(caught.value)


def test_a_request_keeps_its_own_headers_and_cookies() -> None:
    defaults = {"X-A": "1", "X-B": "2", "Cookie": "session=s; lang=de"}
    assert add_default_headers({"x-b": "own", "cookie": "lang=fr"}, defaults) == {
        "X-A": "1",
        "x-b": "own",
        "cookie": "session=s; lang=fr",
    }
    assert add_default_headers({}, defaults) == defaults
