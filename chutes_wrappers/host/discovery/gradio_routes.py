"""Read a Gradio app's ``/info`` and ``/config`` into a route for each named endpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chutes_wrappers.core.aliases import build_aliases
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.exposure import find_hidden_categories
from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter, Protocol
from chutes_wrappers.core.routes import ResponseHint, Route, SkippedRoute
from chutes_wrappers.host.discovery import gradio_schemas
from chutes_wrappers.host.discovery.specification import Operations

MAX_ENDPOINTS = 2_000
# Components whose files are all of one kind.
_MEDIA_RANGES = {"Image": "image/*", "Imageeditor": "image/*", "Audio": "audio/*", "Video": "video/*"}
_MODEL_CONFIG = ConfigDict(frozen=True, extra="ignore")


class _ValueInfo(BaseModel):
    """A parameter or a return value of ``/info``."""

    model_config = _MODEL_CONFIG

    label: str | None = ""
    parameter_name: str | None = None
    parameter_has_default: bool = False
    parameter_default: Any = None
    type: dict[str, Any] = Field(default_factory=dict)
    component: str = ""


class _EndpointInfo(BaseModel):
    """A named endpoint of ``/info``."""

    model_config = _MODEL_CONFIG

    parameters: tuple[_ValueInfo, ...] = ()
    returns: tuple[_ValueInfo, ...] = ()
    description: str | None = ""


class _DependencyTypes(BaseModel):
    model_config = _MODEL_CONFIG

    generator: bool = False


class _Dependency(BaseModel):
    """A function of ``/config``: the components that it reads and writes, by id."""

    model_config = _MODEL_CONFIG

    id: int | None = None
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    types: _DependencyTypes = _DependencyTypes()


@dataclass(frozen=True, kw_only=True)
class _AppConfig:
    """A ``/config``, read once for all endpoints: its functions by name, with their position, and its hidden components."""

    protocol: Any
    functions: Mapping[str, tuple[int, Mapping[str, Any]]]
    hidden_components: frozenset[int]


def is_api_info(document: Mapping[str, Any]) -> bool:
    """Return whether ``document`` is the ``/info`` of a Gradio app; other services may have another document there."""
    return all(isinstance(document.get(key), Mapping) for key in ("named_endpoints", "unnamed_endpoints"))


def read_endpoints(info: Mapping[str, Any], config: Mapping[str, Any], *, port: int, prefix: str) -> Operations:
    """Return every named endpoint as a route of the service on ``port``, or as skipped with its reason.

    ``prefix`` is the path prefix of the app's API: the path before ``/info``. Raises WrapperError for more than
    ``MAX_ENDPOINTS`` endpoints.
    """
    names = [str(key).lstrip("/") for key in info["named_endpoints"]]
    if len(names) > MAX_ENDPOINTS:
        raise WrapperError(f"describes more than {MAX_ENDPOINTS:,} Gradio endpoints")
    app_config = _read_config(config)
    public_paths = build_aliases((f"/{name}" for name in names), move_reserved=True)
    routes, skipped, notes = [], [], []
    for name, node in zip(names, info["named_endpoints"].values(), strict=True):
        try:
            route, route_notes = _build_route(name, node, app_config, prefix)
        except (WrapperError, ValidationError) as error:
            reason = (
                error.what
                if isinstance(error, WrapperError)
                else "the app's description of the endpoint is not valid Gradio"
            )
            skipped.append(SkippedRoute(path=public_paths[f"/{name}"], method="POST", port=port, reason=reason))
            continue
        path = public_paths[f"/{name}"]
        routes.append(
            route.model_copy(update={"path": path, "port": port, "exposed": bool(find_hidden_categories(path))})
        )
        notes += [f"{routes[-1].describe()}: {note}" for note in route_notes]
    return Operations(routes=tuple(routes), skipped=tuple(skipped), notes=tuple(notes))


def _read_config(config: Mapping[str, Any]) -> _AppConfig:
    dependencies = config.get("dependencies")
    functions: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for position, node in enumerate(dependencies if isinstance(dependencies, list) else ()):
        if isinstance(node, Mapping) and isinstance(node.get("api_name"), str):
            functions.setdefault(node["api_name"], (position, node))
    hidden_components = _find_hidden_components(config)
    return _AppConfig(protocol=config.get("protocol"), functions=functions, hidden_components=hidden_components)


def _build_route(name: str, node: Any, config: _AppConfig, prefix: str) -> tuple[Route, list[str]]:
    """Return the route without its public path, and notes on omitted parts of its description."""
    endpoint_info = _EndpointInfo.model_validate(node)
    index, function = _find_function(name, config)
    parameters = [_build_parameter(position, value) for position, value in enumerate(endpoint_info.parameters)]
    endpoint = GradioEndpoint(
        prefix=prefix,
        api_name=name,
        fn_index=index,
        protocol=_read_protocol(config.protocol),
        parameters=tuple(parameters),
        hidden_inputs=_find_hidden_positions(function.inputs, config.hidden_components, len(parameters), "inputs"),
        hidden_outputs=_find_hidden_positions(
            function.outputs, config.hidden_components, len(endpoint_info.returns), "outputs"
        ),
    )
    is_stream = function.types.generator
    schemas, notes = _build_schemas(endpoint_info, parameters, is_stream=is_stream)
    route = Route(
        path=f"/{name}",
        target_path=f"{prefix}/call/{name}",
        stream=is_stream,
        gradio=endpoint,
        response=_build_response_hint(endpoint_info, is_stream),
        summary=_build_summary(endpoint_info),
        **schemas,
    )
    return route, notes


def _find_function(name: str, config: _AppConfig) -> tuple[int, _Dependency]:
    if name not in config.functions:
        raise WrapperError("the app's /config has no function with this name")
    position, node = config.functions[name]
    function = _Dependency.model_validate(node)
    return position if function.id is None else function.id, function


def _find_hidden_components(config: Mapping[str, Any]) -> frozenset[int]:
    """Return the ids of components that are not part of the API: session state."""
    components = config.get("components")
    nodes = [node for node in (components if isinstance(components, list) else ()) if isinstance(node, Mapping)]
    return frozenset(
        node["id"]
        for node in nodes
        if isinstance(node.get("id"), int) and node.get("skip_api", node.get("type") == "state")
    )


def _find_hidden_positions(
    ids: tuple[int, ...], hidden_components: frozenset[int], visible_count: int, label: str
) -> tuple[int, ...]:
    positions = tuple(position for position, component in enumerate(ids) if component in hidden_components)
    if len(ids) - len(positions) != visible_count:
        raise WrapperError(f"the app's /info and /config have different numbers of {label}")
    return positions


def _read_protocol(protocol_name: Any) -> Protocol:
    for protocol in get_args(Protocol):
        if protocol_name == protocol:
            return protocol  # type: ignore[no-any-return]  # get_args returns untyped values
    raise WrapperError(
        f"the app's queue uses the protocol {str(protocol_name)[:20]!r}; a cord supports {', '.join(get_args(Protocol))}: "
        "update the app's Gradio"
    )


def _build_parameter(position: int, value: _ValueInfo) -> GradioParameter:
    file_shape, file_key = gradio_schemas.find_file_shape(value.type)
    return GradioParameter(
        name=value.parameter_name or f"param_{position}",
        required=not value.parameter_has_default,
        default=_remove_urls(value.parameter_default, 0) if value.parameter_has_default else None,
        file=file_shape,
        file_key=file_key,
    )


def _remove_urls(value: Any, depth: int) -> Any:
    """Return a default without the URLs of files: they contain the app's address during discovery. File paths stay."""
    if depth > gradio_schemas.MAX_DEPTH:
        raise WrapperError("a default is nested too deeply")
    if isinstance(value, list):
        return [_remove_urls(item, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    excluded_keys = {"url"} if value.get("path") and "meta" in value else set()
    return {key: _remove_urls(item, depth + 1) for key, item in value.items() if key not in excluded_keys}


def _build_schemas(
    endpoint_info: _EndpointInfo, parameters: list[GradioParameter], *, is_stream: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return ``input_schema`` and ``output_schema``, and notes on those that were left out."""
    properties = {
        parameter.name: (value.type, _build_extra_keywords(parameter, value))
        for parameter, value in zip(parameters, endpoint_info.parameters, strict=True)
    }
    required = [parameter.name for parameter in parameters if parameter.required]
    schemas: dict[str, Any] = {}
    notes = []
    try:
        schemas["input_schema"] = gradio_schemas.build_object_schema(properties, required)
    except WrapperError as error:
        notes.append(f"input schema left out: {error.what}")
    if _find_single_file_media(endpoint_info) and not is_stream:
        return schemas, notes
    try:
        schemas["output_schema"] = gradio_schemas.build_outputs_schema(value.type for value in endpoint_info.returns)
    except WrapperError as error:
        notes.append(f"output schema left out: {error.what}")
    return schemas, notes


def _build_extra_keywords(parameter: GradioParameter, value: _ValueInfo) -> dict[str, Any]:
    title = {"title": value.label} if value.label else {}
    # The default of a file is a path in the app's container, which callers cannot use.
    return title if parameter.required or parameter.file else {**title, "default": parameter.default}


def _build_response_hint(endpoint_info: _EndpointInfo, is_generator: bool) -> ResponseHint | None:
    content_type = "text/event-stream" if is_generator else _find_single_file_media(endpoint_info)
    return ResponseHint(content_type=content_type) if content_type else None


def _find_single_file_media(endpoint_info: _EndpointInfo) -> str:
    """Return the media range of the file if one file is the only output, else an empty string."""
    values = endpoint_info.returns
    is_file = len(values) == 1 and gradio_schemas.find_file_shape(values[0].type)[0] == "one"
    return _MEDIA_RANGES.get(values[0].component, "*/*") if is_file else ""


def _build_summary(endpoint_info: _EndpointInfo) -> str:
    lines = (endpoint_info.description or "").strip().splitlines()
    return lines[0][:200] if lines else ""
