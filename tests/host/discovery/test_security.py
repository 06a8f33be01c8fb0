from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.operation_parameters import read_parameters
from chutes_wrappers.host.discovery.security import SecurityReader, merge_credentials

API_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}


def read_keys(schemes: Any, security: Any, **document: Any) -> tuple[list[tuple[str, str]], list[str]]:
    document = document or {"openapi": "3.1.0", "components": {"securitySchemes": schemes}}
    credentials, problems = SecurityReader(document, [{"security": security}]).read_credentials({"security": security})
    assert all(each.parameter.credential and not each.parameter.required for each in credentials)
    return [(each.parameter.place, each.parameter.name) for each in credentials], problems


@pytest.mark.parametrize(
    ("scheme", "key"),
    [
        (API_KEY, ("header", "X-API-Key")),
        ({"type": "apiKey", "in": "query", "name": "key"}, ("query", "key")),
        ({"type": "apiKey", "in": "cookie", "name": "session"}, ("cookie", "session")),
        ({"type": "http", "scheme": "Bearer", "bearerFormat": "JWT"}, ("header", "Authorization")),
        ({"type": "http", "scheme": "basic"}, ("header", "Authorization")),
        ({"type": "http", "scheme": "Token"}, ("header", "Authorization")),
        ({"type": "oauth2", "flows": {}}, ("header", "Authorization")),
        ({"type": "openIdConnect", "openIdConnectUrl": "x"}, ("header", "Authorization")),
    ],
)
def test_a_scheme_is_a_parameter_of_its_own_name(scheme: Any, key: tuple[str, str]) -> None:
    assert read_keys({"s": scheme}, [{"s": []}]) == ([key], [])
    referred = {"s": {"$ref": "#/components/securitySchemes/t"}, "t": scheme}
    assert read_keys(referred, [{"s": []}]) == ([key], [])
    assert read_keys({"s": scheme}, [{"#/components/securitySchemes/s": []}]) == ([key], [])


def test_the_schemes_of_swagger_2_are_read() -> None:
    schemes = {"b": {"type": "basic"}, "o": {"type": "oauth2"}, "k": {"type": "apiKey", "in": "query", "name": "key"}}
    keys, problems = read_keys(None, [{"b": []}, {"o": []}, {"k": []}], swagger="2.0", securityDefinitions=schemes)
    assert (keys, problems) == ([("header", "Authorization"), ("query", "key")], [])


@pytest.mark.parametrize(
    ("scheme", "problem"),
    [
        ({"type": "mutualTLS"}, "left out: the platform ends TLS"),
        ({"type": "magic"}, "left out: its type 'magic' is unknown"),
        ({}, "left out: its type 'None' is unknown"),
        (5, "left out: it is not an object"),
        ({"$ref": "#/nowhere"}, "left out: `$ref` '#/nowhere' does not exist"),
        ({"type": "apiKey", "in": "header"}, "left out: it has no `name`"),
        ({"type": "apiKey", "in": "body", "name": "k"}, "left out: 'body' is not a place of an API key"),
        ({"type": "apiKey", "in": "header", "name": "bad name"}, "left out: 'bad name' is not a valid header name"),
        ({"type": "http"}, "left out: it has no `scheme`"),
    ],
)
def test_a_scheme_that_cannot_be_carried_is_named(scheme: Any, problem: str) -> None:
    keys, problems = read_keys({"s": scheme}, [{"s": []}])
    assert keys == []
    assert problems[0].startswith(f"security scheme `s` {problem}")


def test_a_digest_is_carried_and_named() -> None:
    keys, problems = read_keys({"s": {"type": "http", "scheme": "digest"}}, [{"s": []}])
    assert keys == [("header", "Authorization")]
    assert problems == ["security scheme `s` is digest: callers must compute the value of Authorization for each call"]


@pytest.mark.parametrize(
    ("security", "count", "problem"),
    [
        ([], 0, None),
        ([{}], 0, None),
        ([{}, {"a": []}], 1, None),
        ([{"a": [], "b": []}], 2, None),
        ([{"a": []}, {"b": []}], 2, None),
        ({"a": []}, 0, "`security` left out: it is not a list"),
        (["a"], 0, "a security requirement left out: it is not an object, or one of too many"),
        ([{"nowhere": []}], 0, "security scheme `nowhere` left out: it is not declared"),
    ],
)
def test_requirements_of_all_alternatives_are_keys(security: Any, count: int, problem: str | None) -> None:
    keys, problems = read_keys({"a": API_KEY, "b": {"type": "http", "scheme": "bearer"}}, security)
    assert len(keys) == count
    assert problems == ([] if problem is None else [problem])


def test_the_document_says_it_for_operations_that_do_not() -> None:
    schemes = {"a": API_KEY, "b": API_KEY, "c": {**API_KEY, "in": "query"}, "d": {"type": "mutualTLS"}}
    reader = SecurityReader({"security": [{"a": []}], "components": {"securitySchemes": schemes}}, [])
    assert len(reader.read_credentials({})[0]) == 1
    assert reader.read_credentials({"security": []}) == ([], [])
    assert reader.describe_unused() == [
        "security scheme `b` (header X-API-Key) left out: no operation requires it; CHUTE_HEADERS can set it",
        "security scheme `c` (query X-API-Key) left out: no operation requires it",
        "security scheme `d` left out: the platform ends TLS, so no client certificate reaches the service",
    ]


def test_schemes_that_nothing_requires_are_keys_of_all_operations() -> None:
    reader = SecurityReader({"components": {"securitySchemes": {"a": API_KEY}}}, [{}])
    assert [each.parameter.name for each in reader.read_credentials({})[0]] == ["X-API-Key"]
    assert reader.describe_unused() == []


def test_the_forms_of_one_header_are_described_together() -> None:
    schemes = {"a": {"type": "http", "scheme": "basic"}, "b": {"type": "oauth2"}}
    reader = SecurityReader({"components": {"securitySchemes": schemes}}, [])
    (credential,), _ = reader.read_credentials({"security": [{"a": []}, {"b": []}]})
    assert credential.schema["description"] == (
        "The whole value: Basic and the base64 of user:password. Or: The whole value: Bearer and the token."
    )


def test_a_declared_header_of_the_same_name_is_the_same_key() -> None:
    credentials, _ = SecurityReader({"components": {"securitySchemes": {"a": API_KEY}}}, []).read_credentials(
        {"security": [{"a": []}]}
    )
    header = {"in": "header", "name": "x-api-key", "required": True, "schema": {"type": "string", "maxLength": 9}}
    declared, _ = read_parameters({}, [header], "/a")
    (merged,) = merge_credentials(declared, credentials)
    assert merged.parameter.model_dump(by_alias=True, exclude_defaults=True) == {
        "name": "X-API-Key",
        "in": "header",
        "credential": True,
    }
    assert merged.schema == {"type": "string", "maxLength": 9}


def test_schemes_of_operations_that_are_not_read_are_not_unused() -> None:
    document = {"components": {"securitySchemes": {"a": API_KEY}}}
    assert SecurityReader(document, [{"security": [{"a": []}]}, {}]).describe_unused() == []
