"""The request body of a deployment (SDK ``entrypoint/deploy.py``), with the API's validation (api, sections 2 and 4).

An invalid field is a 422.
"""

from __future__ import annotations

from collections.abc import Callable
from re import Pattern
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from chutes_wrappers.core import platform_checks, platform_rules

_CHUTE, _NODE = platform_rules.CHUTE_RANGES, platform_rules.NODE_RANGES


def _build_pattern_validator(pattern: Pattern[str], field_name: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.match(value):
            raise ValueError(f"invalid {field_name}: it must match {pattern.pattern}")
        return value

    return check


def _check_public_method(value: str) -> str:
    if value not in platform_rules.API_PUBLIC_METHODS:
        raise ValueError(f"invalid public API method: {' and '.join(platform_rules.API_PUBLIC_METHODS)} are supported")
    return value


_InternalPath = Annotated[str, AfterValidator(_build_pattern_validator(platform_rules.API_INTERNAL_PATH, "path"))]
_PublicPath = Annotated[
    str, AfterValidator(_build_pattern_validator(platform_rules.API_PUBLIC_PATH, "public API path"))
]
_PublicMethod = Annotated[str, AfterValidator(_check_public_method)]


class CordRequest(BaseModel):
    """A cord. Only the chute's own module calls one without a public path (SDK ``chute/cord.py``)."""

    method: str
    path: _InternalPath
    public_api_path: _PublicPath | None = None
    public_api_method: _PublicMethod
    stream: bool = False
    passthrough: bool = False
    function: str
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    output_content_type: str | None = None
    minimal_input_schema: dict[str, Any] | None = None


class NodeSelectorRequest(BaseModel):
    """The GPUs that a chute requires (SDK ``chute/node_selector.py``)."""

    gpu_count: int = Field(_NODE["gpu_count"][0], ge=_NODE["gpu_count"][0], le=_NODE["gpu_count"][1])
    min_vram_gb_per_gpu: int = Field(
        _NODE["min_vram_gb_per_gpu"][0], ge=_NODE["min_vram_gb_per_gpu"][0], le=_NODE["min_vram_gb_per_gpu"][1]
    )
    max_hourly_price_per_gpu: float | None = Field(None, gt=0, lt=platform_rules.MAX_HOURLY_PRICE)
    include: list[str] | None = None
    exclude: list[str] | None = None

    @field_validator("include", "exclude")
    @classmethod
    def _check_known(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if unknown_names := platform_checks.find_unknown_gpus(names or ()):
            raise ValueError(f"Invalid GPU identifiers `{info.field_name}`: {set(unknown_names)}")
        return names


class ChuteRequest(BaseModel):
    """A deployment. Fields that the emulator does not use are stored unchanged."""

    name: str
    tagline: str | None = Field("", max_length=platform_rules.MAX_TAGLINE_LENGTH)
    readme: str | None = Field("", max_length=platform_rules.MAX_README_LENGTH)
    logo_id: str | None = None
    image: str
    public: bool = False
    standard_template: str | None = None
    node_selector: NodeSelectorRequest
    filename: str
    ref_str: str
    code: str = Field(max_length=platform_rules.MAX_SOURCE_LENGTH)
    concurrency: int = Field(1, ge=_CHUTE["concurrency"][0], le=_CHUTE["concurrency"][1])
    max_instances: int = Field(1, ge=_CHUTE["max_instances"][0], le=_CHUTE["max_instances"][1])
    scaling_threshold: float = Field(0.75, ge=_CHUTE["scaling_threshold"][0], le=_CHUTE["scaling_threshold"][1])
    shutdown_after_seconds: int = Field(
        300, ge=_CHUTE["shutdown_after_seconds"][0], le=_CHUTE["shutdown_after_seconds"][1]
    )
    allow_external_egress: bool = False
    encrypted_fs: bool = False
    tee: bool = False
    lock_modules: bool | None = None
    revision: str | None = None
    cords: list[CordRequest] = []
    jobs: list[dict[str, Any]] = []


def find_name_problem(request: ChuteRequest) -> str | None:
    """Return the message for a name that the API rejects with 400 (api, section 4), or None."""
    minimum, maximum = platform_rules.CHUTE_NAME_LENGTH
    if not platform_rules.CHUTE_NAME.match(request.name) or not minimum <= len(request.name) <= maximum:
        return f"Invalid chute name: {request.name[:200]!r}"
    if not platform_rules.MODULE_FILE.match(request.filename):
        return f"Invalid filename: {request.filename[:200]!r}"
    module = request.filename.removesuffix(".py")
    if not platform_rules.CHUTE_REFERENCE.match(request.ref_str) or request.ref_str.partition(":")[0] != module:
        return f"Invalid chute reference string: {request.ref_str[:200]!r}"
    return None


def find_image_problem(name: str, tag: str) -> str | None:
    """Return the message for a name or tag that the API rejects with 400 (api, section 4), or None.

    A tag of one character passes here: the API returns 500 for it.
    """
    for value, part, (minimum, maximum) in (
        (name, "name", platform_rules.IMAGE_NAME_LENGTH),
        (tag, "tag", (1, platform_rules.IMAGE_TAG_LENGTH[1])),
    ):
        if not platform_rules.IMAGE_NAME.match(value) or not minimum <= len(value) <= maximum:
            return f"Invalid image {part}: {value[:200]!r}"
    return None
