"""The request body of a deployment (SDK ``entrypoint/deploy.py``), with the API's validation (api, sections 2 and 4).

An invalid field is a 422.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticKnownError

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.rejection import raise_unless_overruled

_CHUTE, _NODE = platform_rules.CHUTE_RANGES, platform_rules.NODE_RANGES
# Those that only the newest API accepts are taken with a warning: which API is in use cannot be seen (section 2).
_PUBLIC_METHODS = (*platform_rules.API_PUBLIC_METHODS, *platform_rules.NEWEST_PUBLIC_METHODS)
_Number = int | float


def limit_number(minimum: float, maximum: float) -> Callable[[_Number | None], _Number | None]:
    """Return a validator of rule ``number-range`` with pydantic's own errors. None is valid."""

    def check(value: _Number | None) -> _Number | None:
        if value is None:
            return None
        if not value >= minimum:  # NaN too
            raise_unless_overruled("number-range", PydanticKnownError("greater_than_equal", {"ge": minimum}))
        elif value > maximum:
            raise_unless_overruled("number-range", PydanticKnownError("less_than_equal", {"le": maximum}))
        return value

    return check


def _limit_price(value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise_unless_overruled("number-range", PydanticKnownError("greater_than", {"gt": 0}))
    elif value is not None and value >= platform_rules.MAX_HOURLY_PRICE:
        raise_unless_overruled("number-range", PydanticKnownError("less_than", {"lt": platform_rules.MAX_HOURLY_PRICE}))
    return value


def limit_length(rule: str, maximum: int, minimum: int = 0) -> Callable[[str | None], str | None]:
    """Return a validator of the number of characters, with pydantic's own errors. None is valid."""

    def check(value: str | None) -> str | None:
        if value is not None and len(value) > maximum:
            raise_unless_overruled(rule, PydanticKnownError("string_too_long", {"max_length": maximum}))
        elif value is not None and len(value) < minimum:
            raise_unless_overruled(rule, PydanticKnownError("string_too_short", {"min_length": minimum}))
        return value

    return check


class CordRequest(BaseModel):
    """A cord. Only the chute's own module calls one without a public path (SDK ``chute/cord.py``)."""

    method: str
    path: str
    public_api_path: str | None = None
    public_api_method: str
    stream: bool = False
    passthrough: bool = False
    function: str
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    output_content_type: str | None = None
    minimal_input_schema: dict[str, Any] | None = None


class _Arguments(BaseModel):
    """Arguments of a module. One of another type counts as its default when the user overruled rule argument-type."""

    @field_validator(
        *(*_CHUTE, *_NODE, *platform_rules.MAX_TEXT_LENGTHS, "tee", "allow_external_egress", "encrypted_fs"),
        *("lock_modules", "standard_template", "revision", "max_hourly_price_per_gpu"),
        mode="wrap",
        check_fields=False,
    )
    @classmethod
    def _check_type(cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            if platform_checks.find_error_rule(error) != "argument-type":
                raise
            raise_unless_overruled("argument-type", error)
            return cls.model_fields[str(info.field_name)].default


class NodeSelectorRequest(_Arguments):
    """The GPUs that a chute requires (SDK ``chute/node_selector.py``)."""

    gpu_count: Annotated[int, AfterValidator(limit_number(*_NODE["gpu_count"]))] = _NODE["gpu_count"][0]
    min_vram_gb_per_gpu: Annotated[int, AfterValidator(limit_number(*_NODE["min_vram_gb_per_gpu"]))] = _NODE[
        "min_vram_gb_per_gpu"
    ][0]
    max_hourly_price_per_gpu: Annotated[float | None, AfterValidator(_limit_price)] = None
    include: list[str] | None = None
    exclude: list[str] | None = None

    @field_validator("include", "exclude")
    @classmethod
    def _check_known(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if unknown_names := platform_checks.find_unknown_gpus(names or ()):
            error = ValueError(f"Invalid GPU identifiers `{info.field_name}`: {set(unknown_names)}")
            raise_unless_overruled("gpu-name", error)
        return names


class ChuteRequest(_Arguments):
    """A deployment. Fields that the emulator does not use are stored unchanged."""

    name: Annotated[str, AfterValidator(limit_length("text-length", *reversed(platform_rules.CHUTE_NAME_LENGTH)))]
    tagline: Annotated[str | None, AfterValidator(limit_length("text-length", platform_rules.MAX_TAGLINE_LENGTH))] = ""
    readme: Annotated[str | None, AfterValidator(limit_length("text-length", platform_rules.MAX_README_LENGTH))] = ""
    logo_id: str | None = None
    image: str
    public: bool = False
    standard_template: str | None = None
    node_selector: NodeSelectorRequest
    filename: str
    ref_str: str
    code: Annotated[str, AfterValidator(limit_length("source-length", platform_rules.MAX_SOURCE_LENGTH))]
    concurrency: Annotated[int, AfterValidator(limit_number(*_CHUTE["concurrency"]))] = 1
    max_instances: Annotated[int, AfterValidator(limit_number(*_CHUTE["max_instances"]))] = 1
    scaling_threshold: Annotated[float, AfterValidator(limit_number(*_CHUTE["scaling_threshold"]))] = 0.75
    shutdown_after_seconds: Annotated[int, AfterValidator(limit_number(*_CHUTE["shutdown_after_seconds"]))] = 300
    allow_external_egress: bool = False
    encrypted_fs: bool = False
    tee: bool = False
    lock_modules: bool | None = None
    revision: str | None = None
    cords: list[CordRequest] = []
    jobs: list[dict[str, Any]] = []


def list_content_problems(request: ChuteRequest) -> list[tuple[str, str]]:
    """Return rule and message of each part that the API rejects as a "Validation failure" (api, sections 2 and 4)."""
    problems = []
    if not platform_rules.CHUTE_NAME.match(request.name):
        problems.append(("chute-name", f"Invalid chute name: {request.name[:200]}"))
    if not platform_rules.MODULE_FILE.match(request.filename):
        problems.append(("module-file", f"Invalid entrypoint filename: {request.filename[:200]!r}"))
    if not platform_rules.CHUTE_REFERENCE.match(request.ref_str):
        problems.append(("module-reference", f"Invalid chute reference string: {request.ref_str[:200]!r}"))
    try:
        ast.parse(request.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problems.append(("module-syntax", f"Invalid code submited: {error}"))  # the API's spelling
    return problems + [problem for cord in request.cords for problem in _list_cord_problems(cord)]


def _list_cord_problems(cord: CordRequest) -> list[tuple[str, str]]:
    problems = []
    if not platform_rules.API_INTERNAL_PATH.match(cord.path):
        problems.append(("cord-path", f"Invalid cord path: {cord.path[:200]}"))
    if cord.public_api_path is not None and not platform_rules.API_PUBLIC_PATH.match(cord.public_api_path):
        problems.append(("public-path", f"Invalid cord public path: {cord.public_api_path[:200]}"))
    if cord.public_api_method not in _PUBLIC_METHODS:
        problems.append(("public-method", f"Unsupported public API method: {cord.public_api_method[:200]}"))
    return problems
