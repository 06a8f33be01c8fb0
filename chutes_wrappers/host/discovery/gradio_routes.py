"""What a Gradio app says of itself (its API's ``/info`` and its ``/config``) → a route for each named endpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chutes_wrappers.core.aliases import aliases
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import hidden_by
from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter, Protocol
from chutes_wrappers.core.routes import ResponseHint, Route, SkippedRoute
from chutes_wrappers.host.discovery import gradio_schemas
from chutes_wrappers.host.discovery.specification import Operations

MOST_ENDPOINTS = 2_000
# Components whose files are all of one kind.
_MEDIA = {"Image": "image/*", "Imageeditor": "image/*", "Audio": "audio/*", "Video": "video/*"}
_READ = ConfigDict(frozen=True, extra="ignore")


class _Value(BaseModel):
    """A parameter or a return value of ``/info``."""

    model_config = _READ

    label: str | None = ""
    parameter_name: str | None = None
    parameter_has_default: bool = False
    parameter_default: Any = None
    type: dict[str, Any] = Field(default_factory=dict)
    component: str = ""


class _Described(BaseModel):
    """A named endpoint of ``/info``."""

    model_config = _READ

    parameters: tuple[_Value, ...] = ()
    returns: tuple[_Value, ...] = ()
    description: str | None = ""


class _Kinds(BaseModel):
    model_config = _READ

    generator: bool = False


class _Dependency(BaseModel):
    """A function of ``/config``: the components that it reads and writes, by id."""

    model_config = _READ

    id: int | None = None
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    types: _Kinds = _Kinds()


def is_api_info(document: Mapping[str, Any]) -> bool:
    """Whether ``document`` is what a Gradio app answers at ``/info``; other services have one of their own."""
    return all(isinstance(document.get(key), Mapping) for key in ("named_endpoints", "unnamed_endpoints"))


def read_endpoints(info: Mapping[str, Any], config: Mapping[str, Any], *, port: int, prefix: str) -> Operations:
    """Every named endpoint as a route of the service on ``port``, or as skipped with its reason.

    ``prefix`` is where the app's API lies: what comes before ``/info``.
    """
    names = [str(key).lstrip("/") for key in info["named_endpoints"]]
    if len(names) > MOST_ENDPOINTS:
        raise WrapperError(f"describes more than {MOST_ENDPOINTS:,} Gradio endpoints")
    public = aliases((f"/{name}" for name in names), move_reserved=True)
    routes, skipped, notes = [], [], []
    for name, described in zip(names, info["named_endpoints"].values(), strict=True):
        try:
            route, lost = _route(name, described, config, prefix)
        except (WrapperError, ValidationError) as error:
            reason = (
                error.what if isinstance(error, WrapperError) else "the app describes it in a way that is not Gradio's"
            )
            skipped.append(SkippedRoute(path=public[f"/{name}"], method="POST", port=port, reason=reason))
            continue
        path = public[f"/{name}"]
        routes.append(route.model_copy(update={"path": path, "port": port, "exposed": bool(hidden_by(path))}))
        notes += [f"{routes[-1].describe()}: {note}" for note in lost]
    return Operations(routes=tuple(routes), skipped=tuple(skipped), notes=tuple(notes))


def _route(name: str, node: Any, config: Mapping[str, Any], prefix: str) -> tuple[Route, list[str]]:
    """The route, without its public path; and what is missing from its description."""
    described = _Described.model_validate(node)
    index, function = _function(name, config)
    parameters = [_parameter(position, value) for position, value in enumerate(described.parameters)]
    hidden = _hidden_components(config)
    endpoint = GradioEndpoint(
        prefix=prefix,
        api_name=name,
        fn_index=index,
        protocol=_protocol(config),
        parameters=tuple(parameters),
        hidden_inputs=_positions(function.inputs, hidden, len(parameters), "inputs"),
        hidden_outputs=_positions(function.outputs, hidden, len(described.returns), "outputs"),
    )
    is_stream = function.types.generator
    schemas, notes = _schemas(described, parameters, is_stream=is_stream)
    route = Route(
        path=f"/{name}",
        target_path=f"{prefix}/call/{name}",
        stream=is_stream,
        gradio=endpoint,
        response=_response(described, is_stream),
        summary=_summary(described),
        **schemas,
    )
    return route, notes


def _function(name: str, config: Mapping[str, Any]) -> tuple[int, _Dependency]:
    dependencies = config.get("dependencies")
    for position, node in enumerate(dependencies if isinstance(dependencies, list) else ()):
        if isinstance(node, Mapping) and node.get("api_name") == name:
            function = _Dependency.model_validate(node)
            return position if function.id is None else function.id, function
    raise WrapperError("the app's /config has no function of this name")


def _hidden_components(config: Mapping[str, Any]) -> frozenset[int]:
    """The ids of components that are no part of the API: session state."""
    components = config.get("components")
    nodes = [node for node in (components if isinstance(components, list) else ()) if isinstance(node, Mapping)]
    return frozenset(
        node["id"]
        for node in nodes
        if isinstance(node.get("id"), int) and node.get("skip_api", node.get("type") == "state")
    )


def _positions(ids: tuple[int, ...], hidden: frozenset[int], shown: int, what: str) -> tuple[int, ...]:
    positions = tuple(position for position, component in enumerate(ids) if component in hidden)
    if len(ids) - len(positions) != shown:
        raise WrapperError(f"the app's /info and /config disagree about its {what}")
    return positions


def _protocol(config: Mapping[str, Any]) -> Protocol:
    named = config.get("protocol")
    for protocol in get_args(Protocol):
        if named == protocol:
            return protocol  # type: ignore[no-any-return]  # get_args loses what Protocol says
    raise WrapperError(
        f"the app's queue speaks {str(named)[:20]!r}, and a cord {', '.join(get_args(Protocol))}: update its Gradio"
    )


def _parameter(position: int, value: _Value) -> GradioParameter:
    place, key = gradio_schemas.file_place(value.type)
    return GradioParameter(
        name=value.parameter_name or f"param_{position}",
        required=not value.parameter_has_default,
        default=_without_addresses(value.parameter_default, 0) if value.parameter_has_default else None,
        file=place,
        file_key=key,
    )


def _without_addresses(value: Any, depth: int) -> Any:
    """A default without the URLs of files: they name where the app listened when it was discovered. Their paths stay."""
    if depth > gradio_schemas.DEEPEST:
        raise WrapperError("a default is nested too deeply")
    if isinstance(value, list):
        return [_without_addresses(item, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    dropped = {"url"} if value.get("path") and "meta" in value else set()
    return {key: _without_addresses(item, depth + 1) for key, item in value.items() if key not in dropped}


def _schemas(
    described: _Described, parameters: list[GradioParameter], *, is_stream: bool
) -> tuple[dict[str, Any], list[str]]:
    """``input_schema`` and ``output_schema``, and notes on those that were left out."""
    properties = {
        parameter.name: (value.type, _beside(parameter, value))
        for parameter, value in zip(parameters, described.parameters, strict=True)
    }
    required = [parameter.name for parameter in parameters if parameter.required]
    schemas: dict[str, Any] = {}
    notes = []
    try:
        schemas["input_schema"] = gradio_schemas.object_schema(properties, required)
    except WrapperError as error:
        notes.append(f"input schema left out: {error.what}")
    if _media_of_file_alone(described) and not is_stream:
        return schemas, notes
    try:
        schemas["output_schema"] = gradio_schemas.outputs_schema(value.type for value in described.returns)
    except WrapperError as error:
        notes.append(f"output schema left out: {error.what}")
    return schemas, notes


def _beside(parameter: GradioParameter, value: _Value) -> dict[str, Any]:
    title = {"title": value.label} if value.label else {}
    # The default of a file is a path in the app's container.
    return title if parameter.required or parameter.file else {**title, "default": parameter.default}


def _response(described: _Described, is_generator: bool) -> ResponseHint | None:
    kind = "text/event-stream" if is_generator else _media_of_file_alone(described)
    return ResponseHint(content_type=kind) if kind else None


def _media_of_file_alone(described: _Described) -> str:
    """The media range of the file that is all that comes out; empty when something else does."""
    values = described.returns
    is_file = len(values) == 1 and gradio_schemas.file_place(values[0].type)[0] == "one"
    return _MEDIA.get(values[0].component, "*/*") if is_file else ""


def _summary(described: _Described) -> str:
    lines = (described.description or "").strip().splitlines()
    return lines[0][:200] if lines else ""
