"""Whether a service is a Gradio app: its API's ``/info``, where Gradio 5 and 6 or 4 have it, or where the user says."""

from __future__ import annotations

from collections.abc import Iterable

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import SkippedRoute
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.discovery.fetching import Answer
from chutes_wrappers.host.discovery.gradio_routes import is_api_info, read_endpoints
from chutes_wrappers.host.discovery.search import Found, Get
from chutes_wrappers.host.discovery.specification import Operations

INFO = "/info"
API = "/gradio_api"


async def find_gradio(get: Get, port: int, probe_paths: Iterable[str] = ()) -> Found | None:
    """The Gradio app that ``get`` asks, or None. ``probe_paths`` that end in ``/info`` are tried as well (a mounted app)."""
    named = (path for path in probe_paths if path.endswith(INFO))
    for path in dict.fromkeys((*named, API + INFO, INFO)):
        answer = await get(path)
        if answer is None:
            return None
        info = _document(answer)
        if not is_api_info(info):
            continue
        prefix = path.removesuffix(INFO)
        answer = await get(prefix.removesuffix(API) + "/config")
        config = _document(answer) if answer else {}
        try:
            return Found(location=path, operations=read_endpoints(info, config, port=port, prefix=prefix))
        except WrapperError as error:
            return Found(location=path, operations=Operations(notes=(f"{path} {error.what}",)))
    return None


def combined(app: Found | None, specification: Found | None) -> Found | None:
    """Both together; an operation of the specification that is called like an endpoint of the app is skipped."""
    if app is None or specification is None:
        return app or specification
    names = {route.key for route in app.operations.routes}
    others = specification.operations
    skipped = (
        *app.operations.skipped,
        *others.skipped,
        *(_taken(route.path, route.method, route.port) for route in others.routes if route.key in names),
    )
    operations = Operations(
        routes=(*app.operations.routes, *(route for route in others.routes if route.key not in names)),
        skipped=skipped,
        notes=(*app.operations.notes, *others.notes),
    )
    return Found(location=app.location, operations=operations)


def _taken(path: str, method: str, port: int | None) -> SkippedRoute:
    reason = "the Gradio endpoint of this name has the path; give this one another `path` in CHUTE_STATIC_ROUTES"
    return SkippedRoute(path=path, method=method, port=port, reason=reason)


def _document(answer: Answer) -> dict[str, object]:
    """The object that ``answer`` holds; empty when it holds none."""
    if answer.status != 200 or answer.problem:
        return {}
    try:
        return parse_document(answer.body, answer.content_type)
    except WrapperError:
        return {}
