"""Where frameworks publish a specification by default. Pure.

A place is requested once in a search, so each costs a service one GET. The order decides which of two descriptions of one operation
is used: newer formats come first.
"""

from __future__ import annotations

# Requested in every attempt: FastAPI, Starlette, Flask-RESTX, Hono, Huma, LoopBack, Sanic, BentoML, API Platform.
DEFAULT_PATHS = ("/openapi.json", "/swagger.json", "/docs/openapi.json", "/docs.json")

# Pages that name a specification, or contain it. Some frameworks return the specification itself there.
DOCUMENTATION_PAGES = (
    "/",  # an index, a redirect, or PostgREST's specification
    "/docs", "/redoc", "/api/docs", "/v1/docs", "/api/v1/docs",
    "/swagger-ui/index.html", "/swagger-ui.html", "/swagger-ui",  # springdoc and utoipa, springfox, Micronaut
    "/swagger/index.html",  # swaggo, Swashbuckle
    "/swagger",  # Elysia, Ktor, AdonisJS
    "/api",  # NestJS, KoboldCpp
    "/api-docs",  # swagger-ui-express, rswag
    "/documentation", "/api/documentation",  # Fastify, hapi; L5-Swagger
    "/schema",  # Litestar
    "/openapi",  # MicroProfile (Helidon, Open Liberty, Payara), Javalin, flask-openapi3, Elysia
    "/scalar", "/reference", "/doc", "/spec",  # Scalar, Hono, poem
)  # fmt: skip

_FILE_NAMES = ("openapi.json", "swagger.json", "openapi.yaml", "swagger.yaml")
FURTHER_PATHS = (
    "/openapi.yaml", "/openapi.yml", "/swagger.yaml", "/swagger.yml",
    *(f"{prefix}/{name}" for prefix in ("/api", "/v1", "/api/v1") for name in _FILE_NAMES),
    "/v2/openapi.json", "/api/v2/openapi.json", "/api/v3/openapi.json",
    "/v3/api-docs", "/v3/api-docs/swagger-config", "/api/v3/api-docs", "/v2/api-docs", "/swagger-resources",  # Spring
    "/openapi/v1.json", "/swagger/v1/swagger.json",  # ASP.NET: its own, Swashbuckle and NSwag
    "/swagger/doc.json", "/docs/doc.json", "/swagger/openapi.json", "/swagger/swagger.json",  # Go: swaggo, fuego
    "/openapi3.json", "/openapi3.yaml",  # Goa
    "/api-json", "/docs-json", "/api/docs-json", "/swagger-json",  # NestJS
    "/documentation/json", "/docs/json", "/swagger/json", "/openapi/json",  # Fastify, Elysia
    "/schema/openapi.json", "/openapi/openapi.json",  # Litestar, flask-openapi3
    "/api/schema/", "/schema/", "/swagger/?format=openapi",  # Django: drf-spectacular, drf-yasg
    "/q/openapi",  # Quarkus
    "/api-docs/openapi.json", "/api-doc/openapi.json", "/api/spec", "/api/openapi",  # utoipa, salvo, paperclip, Phoenix
    "/apispec_1.json", "/apispec.json", "/spec.json", "/api/docs/swagger.json", "/api/spec.json",  # Flask, aiohttp
    "/api-docs.json", "/api-docs/swagger.json", "/api-docs/v1/swagger.yaml", "/swagger_doc",  # Express, Akka, rswag, Grape
    "/docs?api-docs.json", "/docs/api-docs.json", "/docs/api.json", "/api/docs.jsonopenapi", "/api/docs.json", "/api/doc.json",  # PHP
    "/api.json", "/docs/docs.yaml", "/assets/swagger.json",  # Ktor and aide, tapir, Play
    "/v2/docs/dataplane.json", "/v2/docs/modelrepository.json", "/seldon.json", "/api-description",  # MLServer, Seldon, TorchServe
    "/_localstack/swagger", "/server/specs/oas",  # LocalStack, Directus
    "/__api__", "/v1/__api__",  # cornice and Kinto
    "/.well-known/api-catalog", "/.well-known/openapi.json",  # RFC 9727
)  # fmt: skip
