"""Find a Gradio app by its API's ``/info``: at the paths of Gradio 5 and 6 or of Gradio 4, or at the user's paths."""

from __future__ import annotations

from collections.abc import Iterable

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import SkippedRoute
from chutes_wrappers.host.discovery.document_reader import Get
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.discovery.fetching import Response
from chutes_wrappers.host.discovery.gradio_routes import is_api_info, read_endpoints
from chutes_wrappers.host.discovery.merging import SearchResult
from chutes_wrappers.host.discovery.specification import Operations

INFO_PATH = "/info"
API_PREFIX = "/gradio_api"


async def find_gradio(get: Get, port: int, probe_paths: Iterable[str] = ()) -> SearchResult | None:
    """Return the Gradio app that ``get`` reaches, or None. ``probe_paths`` that end in ``/info`` are tried first (a mounted app)."""
    info_paths = (path for path in probe_paths if path.endswith(INFO_PATH))
    for path in dict.fromkeys((*info_paths, API_PREFIX + INFO_PATH, INFO_PATH)):
        response = await get(path)
        if response is None:
            return None
        info = _parse_response(response)
        if not is_api_info(info):
            continue
        prefix = path.removesuffix(INFO_PATH)
        response = await get(prefix.removesuffix(API_PREFIX) + "/config")
        config = _parse_response(response) if response else {}
        try:
            return SearchResult(locations=(path,), operations=read_endpoints(info, config, port=port, prefix=prefix))
        except WrapperError as error:
            return SearchResult(locations=(path,), operations=Operations(notes=(f"{path} {error.what}",)))
    return None


def merge_results(app: SearchResult | None, specification: SearchResult | None) -> SearchResult | None:
    """Merge both results. An operation of the specification with the name of an endpoint of the app is skipped."""
    if app is None or specification is None:
        return app or specification
    names = {route.key for route in app.operations.routes}
    other_operations = specification.operations
    skipped = (
        *app.operations.skipped,
        *other_operations.skipped,
        *(
            _build_skipped_route(route.path, route.method, route.port)
            for route in other_operations.routes
            if route.key in names
        ),
    )
    operations = Operations(
        routes=(*app.operations.routes, *(route for route in other_operations.routes if route.key not in names)),
        skipped=skipped,
        notes=(*app.operations.notes, *other_operations.notes),
    )
    return SearchResult(locations=(*app.locations, *specification.locations), operations=operations)


def _build_skipped_route(path: str, method: str, port: int | None) -> SkippedRoute:
    reason = (
        "the Gradio endpoint with this name uses the path; set another `path` for this operation in CHUTE_STATIC_ROUTES"
    )
    return SkippedRoute(path=path, method=method, port=port, reason=reason)


def _parse_response(response: Response) -> dict[str, object]:
    """Return the object in the body of ``response``; empty when there is none."""
    if response.status != 200 or response.problem:
        return {}
    try:
        return parse_document(response.body, response.content_type)
    except WrapperError:
        return {}
