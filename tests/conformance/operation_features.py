"""Operations and documents: methods, paths, servers, references; and security schemes.

Source: OpenAPI 3.0.4, 3.1.1 and 3.2.0, "Path Item Object", "Server Object", "Reference Object" and "Security Scheme Object".
"""

from __future__ import annotations

from typing import Any

from tests.conformance.features import (
    JSON,
    V3,
    V31,
    V32,
    Feature,
    Request,
    declare,
    get,
    has_fields,
    post,
    rename,
    sends,
    takes,
)

STRING = {"type": "string"}
FLOWS = {"clientCredentials": {"tokenUrl": "https://auth.example/token", "scopes": {}}}
DEVICE_FLOWS = {
    "deviceAuthorization": {
        "deviceAuthorizationUrl": "https://auth.example/device",
        "tokenUrl": "https://auth.example/token",
        "scopes": {},
    }
}


def _method(method: str, versions: tuple[str, ...] = V3) -> Feature:
    return Feature(
        group="Operation",
        name=f"`{method}`",
        versions=versions,
        method=method,
        request=Request(method=method.upper(), target="/x"),
    )


def _other_method(method: str) -> Feature:
    return Feature(
        group="Operation",
        name=f"`additionalOperations`: {method}",
        versions=V32,
        method="",
        item={"additionalOperations": {method: {"responses": {}}}},
        request=Request(method=method, target="/x"),
    )


def _server(
    name: str, target: str, versions: tuple[str, ...] = V3, listed: str = "", limit: str = "", **keys: Any
) -> Feature:
    return Feature(
        group="Server", name=name, versions=versions, request=get(target), listed=listed, limit=limit, **keys
    )


def _secure(
    name: str,
    schemes: dict[str, Any],
    headers: dict[str, str],
    *,
    versions: tuple[str, ...] = V3,
    target: str = "/x",
    security: Any = None,
    call: dict[str, str] | None = None,
    listed: str = "",
    limit: str = "",
) -> Feature:
    required = [dict.fromkeys(schemes, ())] if security is None else security
    return Feature(
        group="Security",
        name=name,
        versions=versions,
        operation={"security": [{key: [*scopes] for key, scopes in each.items()} for each in required]},
        document={"components": {"securitySchemes": schemes}},
        call=rename(headers) if call is None else call,
        request=get(target, **headers),
        listed=listed,
        limit=limit,
    )


KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
BEARER = {"type": "http", "scheme": "bearer"}
OPERATIONS = (
    *(_method(method) for method in ("get", "delete", "options", "trace")),
    *(
        Feature(
            group="Operation",
            name=f"`{method}` without a body",
            versions=versions,
            method=method,
            request=Request(method=method.upper(), target="/x"),
        )
        for method, versions in (("post", V3), ("put", V3), ("patch", V3), ("query", V32))
    ),
    Feature(
        group="Operation",
        name="`head`",
        versions=V3,
        method="head",
        request=None,
        listed="a response to HEAD has no body",
        limit="A call returns a body, and HEAD has none. A route in `CHUTE_STATIC_ROUTES` may have it",
    ),
    Feature(
        group="Operation",
        name="`query` with a body",
        versions=V32,
        method="query",
        operation=sends(JSON, {"type": "object"}),
        call={"a": 1},
        request=Request(method="QUERY", target="/x", headers={"Content-Type": JSON}, body=b'{"a":1}'),
    ),
    _other_method("COPY"),
    _other_method("copy"),
    Feature(
        group="Operation",
        name="`additionalOperations`: CONNECT",
        versions=V32,
        method="",
        item={"additionalOperations": {"CONNECT": {"responses": {}}}},
        request=None,
        listed="'CONNECT' is not a method of HTTP that a client can send",
        limit="CONNECT has no path (RFC 9110, section 9.3.6)",
    ),
    Feature(
        group="Operation",
        name="`deprecated`",
        versions=V3,
        operation={"deprecated": True},
        request=get("/x"),
    ),
    Feature(
        group="Operation",
        name="`additionalOperations` with a body",
        versions=V32,
        method="",
        item={"additionalOperations": {"COPY": sends(JSON, {"type": "object"})}},
        call={"a": 1},
        request=Request(method="COPY", target="/x", headers={"Content-Type": JSON}, body=b'{"a":1}'),
    ),
    *(
        Feature(group="Operation", name=name, versions=V3, path=path, call=call, request=get(target))
        for name, path, call, target in (
            ("a path with characters that are encoded", "/a b/é", {}, "/a%20b/%C3%A9"),
            ("a path that is encoded", "/a%20b", {}, "/a%20b"),
            ("a path with a slash at its end", "/x/", {}, "/x/"),
            ("a verb after a colon", "/x/{id}:run", {"id": "7"}, "/x/7:run"),
            ("a variable with slashes: `{id+}`", "/x/{id+}", {"id": "a/b"}, "/x/a/b"),
            ("a variable with slashes: `{id:path}`", "/x/{id:path}", {"id": "a/b"}, "/x/a/b"),
            ("a variable with slashes: `{**id}`", "/x/{**id}", {"id": "a/b"}, "/x/a/b"),
            ("a variable with a type: `{id:int}`, `<int:id>`", "/x/{id:int}/<int:n>", {"id": "7", "n": "8"}, "/x/7/8"),
            ("a query in a path: `{?a,b}`", "/x{?a,b}", {"a": "7"}, "/x?a=7"),
            ("a variable that no parameter declares", "/x/{id}", {"id": "7"}, "/x/7"),
        )
    ),
    Feature(
        group="Operation",
        name="`callbacks`",
        versions=V3,
        operation={"callbacks": {"c": {"{$request.query.url}": {"post": {"responses": {}}}}}},
        request=get("/x"),
        listed="callbacks `c`: the service sends them itself, which needs allow_external_egress=True on the chute",
        limit="The service sends these requests itself. The chute needs `allow_external_egress=True`",
    ),
    Feature(
        group="Operation",
        name="`webhooks`",
        versions=V31,
        document={"webhooks": {"w": {"post": {"responses": {}}}}},
        request=get("/x"),
        listed="webhooks `w`: the service sends them itself, which needs allow_external_egress=True on the chute",
        limit="The service sends these requests itself. The chute needs `allow_external_egress=True`",
    ),
    Feature(
        group="Reference",
        name="to a parameter and to its schema",
        versions=V3,
        operation=takes({"$ref": "#/components/parameters/p"}),
        document={
            "components": {
                "parameters": {"p": declare("p", "query", {"$ref": "#/components/schemas/s"}, explode=False)},
                "schemas": {"s": {"type": "array"}},
            }
        },
        call={"p": [1, 2]},
        request=get("/x?p=1,2"),
    ),
    Feature(
        group="Reference",
        name="to a path item",
        versions=V31,
        method="",
        item={"$ref": "#/components/pathItems/i"},
        document={"components": {"pathItems": {"i": {"get": takes(declare("p", "query", STRING))}}}},
        call={"p": "1"},
        request=get("/x?p=1"),
    ),
    Feature(
        group="Reference",
        name="to a parameter of another path",
        versions=V3,
        document={
            "paths": {
                "/x": {"get": takes({"$ref": "#/paths/~1y~1%7Bid%7D/post/parameters/0"})},
                "/y/{id}": {"post": takes(declare("p", "query", {"type": "array"}, explode=False))},
            }
        },
        call={"p": [1, 2]},
        request=get("/x?p=1,2"),
    ),
    Feature(
        group="Reference",
        name="to a security scheme",
        versions=V3,
        operation={"security": [{"s": []}]},
        document={"components": {"securitySchemes": {"s": {"$ref": "#/components/securitySchemes/t"}, "t": KEY}}},
        call={"X-API-Key": "k"},
        request=get("/x", X_API_Key="k"),
    ),
    Feature(
        group="Reference",
        name="with the document's own URL, `$self`",
        versions=V32,
        operation=takes({"$ref": "https://api.example/openapi.json#/components/parameters/p"}),
        document={
            "$self": "https://api.example/openapi.json",
            "components": {"parameters": {"p": declare("p", "query", {"type": "array"}, explode=False)}},
        },
        call={"p": [1, 2]},
        request=get("/x?p=1,2"),
    ),
    Feature(
        group="Reference",
        name="`$dynamicRef`",
        versions=V31,
        method="post",
        operation=sends(JSON, {"$ref": "#/components/schemas/s"}),
        document={
            "components": {
                "schemas": {"s": {"$dynamicAnchor": "n", "type": "object", "properties": {"a": {"$dynamicRef": "#n"}}}}
            }
        },
        call={"a": {"a": {}}},
        request=post(JSON, b'{"a":{"a":{}}}'),
        listed="input schema left out: the schema uses dynamic references",
        limit="The manifest has no schema of the body",
    ),
    Feature(
        group="Reference",
        name="to an `$anchor`",
        versions=V31,
        operation=takes(declare("p", "query", {"$ref": "#s"}, explode=False)),
        document={"components": {"schemas": {"s": {"$anchor": "s", "type": "array"}}}},
        call={"p": [1, 2]},
        request=get("/x?p=1,2"),
    ),
    Feature(
        group="Reference",
        name="to the `$id` of a schema",
        versions=V31,
        operation=takes(declare("p", "query", {"$ref": "https://api.example/s"}, explode=False)),
        document={"components": {"schemas": {"s": {"$id": "https://api.example/s", "type": "array"}}}},
        call={"p": [1, 2]},
        request=get("/x?p=1,2"),
    ),
    *(
        Feature(
            group="Reference",
            name=f"of a body's schema to {text}",
            versions=V31,
            method="post",
            operation=sends(JSON, {"$ref": reference}),
            document={"components": {"schemas": {"s": {**has_fields(body={}), keyword: value}}}},
            call={"body": [1]},  # the value itself, if the schema has no such field
            request=post(JSON, b'{"body":[1]}'),
        )
        for text, keyword, value, reference in (
            ("an `$anchor`", "$anchor", "s", "#s"),
            ("an `$id`", "$id", "https://api.example/s", "https://api.example/s"),
        )
    ),
    _server("a path", "/v1/x", document={"servers": [{"url": "https://api.example/v1/"}]}),
    _server("a relative URL", "/v1/x", document={"servers": [{"url": "./v1"}]}),
    _server(
        "variables",
        "/v2/x",
        document={"servers": [{"url": "/{v}", "variables": {"v": {"default": "v2", "enum": ["v1", "v2"]}}}]},
        listed="server variable `v` may be v1, v2: calls use 'v2'",
        limit="A call uses the default value",
    ),
    _server("of the path item", "/v3/x", item={"servers": [{"url": "/v3"}]}, document={"servers": [{"url": "/v1"}]}),
    _server("of the operation", "/v4/x", operation={"servers": [{"url": "/v4"}]}, item={"servers": [{"url": "/v3"}]}),
    _server(
        "of the operation, elsewhere",
        "/v4/x",
        operation={"servers": [{"url": "https://other.example/v4"}]},
        document={"servers": [{"url": "/"}]},
        listed="its server is https://other.example/v4: calls go to this service",
        limit="A chute calls its own services only",
    ),
    _server("none", "/x"),
    _secure("`apiKey` in a header", {"s": KEY}, {"X_API_Key": "k"}),
    _secure("`apiKey` in the query", {"s": {**KEY, "in": "query", "name": "key"}}, {}, call={"key": "k"}, target="/x?key=k"),
    _secure("`apiKey` in a cookie", {"s": {**KEY, "in": "cookie", "name": "sid"}}, {"Cookie": "sid=k"}, call={"sid": "k"}),
    _secure("`http`: basic", {"s": {"type": "http", "scheme": "basic"}}, {"Authorization": "Basic dTpw"}),
    _secure("`http`: bearer", {"s": BEARER}, {"Authorization": "Bearer t"}),
    _secure("`http`: another scheme", {"s": {"type": "http", "scheme": "PrivateToken"}}, {"Authorization": "PrivateToken token=t"}),
    _secure(
        "`http`: digest",
        {"s": {"type": "http", "scheme": "digest"}},
        {"Authorization": 'Digest username="u"'},
        listed="is digest: callers must compute the value of Authorization for each call",
        limit="The caller computes the value",
    ),
    _secure("`oauth2`", {"s": {"type": "oauth2", "flows": FLOWS}}, {"Authorization": "Bearer t"}),
    _secure("`oauth2`: device authorization", {"s": {"type": "oauth2", "flows": DEVICE_FLOWS}}, {"Authorization": "Bearer t"}, versions=V32),
    _secure("`openIdConnect`", {"s": {"type": "openIdConnect", "openIdConnectUrl": "https://auth.example/o"}}, {"Authorization": "Bearer t"}),
    _secure(
        "`mutualTLS`",
        {"s": {"type": "mutualTLS"}},
        {},
        versions=V31,
        listed="the platform ends TLS, so no client certificate reaches the service",
        limit="The platform ends TLS, so no client certificate reaches the service",
    ),
    _secure("several at once", {"s": KEY, "t": BEARER}, {"X_API_Key": "k", "Authorization": "Bearer t"}),
    _secure("one of several", {"s": KEY, "t": BEARER}, {"Authorization": "Bearer t"}, security=[{"s": ()}, {"t": ()}]),
    _secure("optional: `{}`", {"s": KEY}, {}, security=[{"s": ()}, {}]),
    Feature(
        group="Security",
        name="of the document",
        versions=V3,
        document={"security": [{"s": []}], "components": {"securitySchemes": {"s": KEY}}},
        call={"X-API-Key": "k"},
        request=get("/x", X_API_Key="k"),
    ),
    Feature(
        group="Security",
        name="of the document, which the operation removes: `[]`",
        versions=V3,
        operation={"security": []},
        document={"security": [{"s": []}], "components": {"securitySchemes": {"s": KEY}}},
        request=get("/x"),
    ),
    Feature(
        group="Security",
        name="schemes that nothing requires (no `security` anywhere)",
        versions=V3,
        document={"components": {"securitySchemes": {"s": KEY}}},
        call={"X-API-Key": "k"},
        request=get("/x", X_API_Key="k"),
    ),
    Feature(
        group="Security",
        name="a scheme by its URI",
        versions=V32,
        operation={"security": [{"#/components/securitySchemes/s": []}]},
        document={"components": {"securitySchemes": {"s": KEY}}},
        call={"X-API-Key": "k"},
        request=get("/x", X_API_Key="k"),
    ),
    Feature(
        group="Security",
        name="a cookie beside a cookie parameter",
        versions=V3,
        operation={"security": [{"s": []}], **takes(declare("a", "cookie", STRING))},
        document={"components": {"securitySchemes": {"s": {**KEY, "in": "cookie", "name": "sid"}}}},
        call={"a": "1", "sid": "k"},
        request=get("/x", Cookie="a=1; sid=k"),
    ),
    Feature(
        group="Security",
        name="a scheme whose header is a parameter as well",
        versions=V3,
        operation={"security": [{"s": []}], **takes(declare("x-api-key", "header", STRING))},
        document={"components": {"securitySchemes": {"s": KEY}}},
        call={"X-API-Key": "k"},
        request=get("/x", X_API_Key="k"),
    ),
    Feature(
        group="Security",
        name="beside a body",
        versions=V3,
        method="post",
        operation={"security": [{"s": []}], **sends(JSON, {"type": "object"})},
        document={"components": {"securitySchemes": {"s": KEY}}},
        call={"X-API-Key": "k", "a": 1},
        request=Request(method="POST", target="/x", headers={"Content-Type": JSON, "X-API-Key": "k"}, body=b'{"a":1}'),
    ),
)  # fmt: skip
