"""Predicates over the facts of ``platform_rules``: what the platform accepts, and the ids and names that it computes. Pure.

Sections are those of PLATFORM.md.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from chutes_wrappers.core import platform_rules


def _adapt(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


# The fields of a deployment (SDK entrypoint/deploy.py) as the API reads them: with pydantic's lax mode, so "8" and 8.0 are the
# number 8, and 1 and "yes" are true.
_SETTINGS: Mapping[str, TypeAdapter[Any]] = {
    **{
        name: _adapt(Annotated[float if name in platform_rules.FRACTIONS else int, Field(ge=lowest, le=highest)])
        for name, (lowest, highest) in {**platform_rules.CHUTE_RANGES, **platform_rules.NODE_RANGES}.items()
    },
    "max_hourly_price_per_gpu": _adapt(Annotated[float, Field(gt=0, lt=platform_rules.MAX_HOURLY_PRICE)] | None),
    "name": _adapt(
        Annotated[
            str, Field(min_length=platform_rules.CHUTE_NAME_LENGTH[0], max_length=platform_rules.CHUTE_NAME_LENGTH[1])
        ]
    ),
    **{
        name: _adapt(Annotated[str, Field(max_length=longest)] | None)
        for name, longest in platform_rules.MAX_TEXT_LENGTHS.items()
    },
    **{name: _adapt(bool) for name in ("tee", "allow_external_egress", "encrypted_fs")},
    "lock_modules": _adapt(bool | None),
    **{name: _adapt(str | None) for name in ("standard_template", "revision")},
}
# The beginnings of pydantic's types of errors.
_RULES_BY_ERROR = {"greater_than": "number-range", "less_than": "number-range", "string_too": "text-length"}


def find_setting_rule(name: str, value: object) -> str | None:
    """Return the rule by which the API rejects ``value`` for the field ``name`` of a deployment with 422, or None.

    Number-range and text-length are for numbers and texts; argument-type is for values of another type.
    """
    try:
        _SETTINGS[name].validate_python(value)
    except ValidationError as error:
        return find_error_rule(error)
    return None


def find_error_rule(error: ValidationError) -> str:
    """Return the rule that the first of pydantic's errors about one field is of: number-range, text-length or argument-type."""
    kind = error.errors()[0]["type"]
    return next((rule for start, rule in _RULES_BY_ERROR.items() if kind.startswith(start)), "argument-type")


def read_setting(name: str, value: object) -> Any:
    """Return what the API reads from ``value`` for the field ``name`` of a deployment; ``value`` if it rejects it."""
    try:
        return _SETTINGS[name].validate_python(value)
    except ValidationError:
        return value


def is_supported_sdk(version: str) -> bool:
    """Return whether the platform accepts builds by this version of the SDK, and images with it (api, section 4)."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version, re.ASCII)
    return numbers is not None and tuple(map(int, numbers.groups())) >= platform_rules.MIN_SDK_VERSION


def find_chute_name_problem(name: str) -> str | None:
    """Return the rule for chute names that ``name`` violates, or None (api, section 4)."""
    shortest, longest = platform_rules.CHUTE_NAME_LENGTH
    if platform_rules.CHUTE_NAME.match(name) and shortest <= len(name) <= longest:
        return None
    return f"{shortest} to {longest} letters, digits, '-', '_', '.' or '/', the first a letter or digit"


def list_chute_name_rules(name: str) -> list[str]:
    """Return the rules that a chute's name violates: text-length for its length, which the API checks first, and chute-name."""
    rule = find_setting_rule("name", name)
    return [*([rule] if rule else []), *([] if platform_rules.CHUTE_NAME.match(name) else ["chute-name"])]


def find_image_name_problem(name: str, length: tuple[int, int] = platform_rules.IMAGE_NAME_LENGTH) -> str | None:
    """Return the rule for image names (with platform_rules.IMAGE_TAG_LENGTH: for tags) that ``name`` violates, or None (api, section 4)."""
    shortest, longest = length
    if platform_rules.IMAGE_NAME.match(name) and shortest <= len(name) <= longest:
        return None
    valid_form = f"{shortest} to {longest} letters, digits, '-', '_' or '.', the first a letter or digit"
    # Section 4, SDK image/__init__.py.
    return f"{valid_form} (the SDK itself refuses '/', which the platform accepts)" if "/" in name else valid_form


def find_logo_problem(start: bytes, media_type: str) -> str | None:
    """Return why the API refuses a logo that begins with ``start`` and is uploaded as ``media_type``, or None."""
    if not start:
        return "the logo's file is empty"
    if not platform_rules.LOGO_SIGNATURE.match(start):
        is_svg = media_type.startswith("image/svg") or b"<svg" in start.lower()
        return f"the logo is {'an SVG' if is_svg else 'not an image'} file, which the platform does not accept"
    return None if media_type in platform_rules.LOGO_TYPES else f"the logo would be uploaded as {media_type:.60}"


def find_username_problem(username: str) -> str | None:
    """Return the rule that ``username`` violates, or None (api, section 4)."""
    return None if platform_rules.USERNAME.match(username) else "3 to 15 letters, digits, '_' or '-'"


def build_slug(username: str, chute_name: str) -> str:
    """Return the first label of a chute's host, unless it is in use already (api, section 4)."""
    return re.sub("[^a-z0-9]+", "-", f"{username}-{chute_name}".lower()).strip("-")[: platform_rules.MAX_SLUG_LENGTH]


def compute_chute_id(username: str, chute_name: str) -> str:
    """Return the id of a user's chute (SDK ``chute/base.py``: ``Chute.uid``; section 5)."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{username}::chute::{chute_name}"))


def compute_image_id(username: str, image_name: str, tag: str) -> str:
    """Return the id of a user's image (SDK ``image/__init__.py``: ``Image.uid``)."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{username}/{image_name}:{tag}".lower()))


def is_name_pattern_match(pattern: str, name: str) -> bool:
    """Return whether a lookup of ``pattern`` in the API matches ``name`` (api, section 5).

    Warm-up, sharing, secrets and deployment ignore case; "_" is any character, and "%" any text.
    """
    wildcards = {"_": ".", "%": ".*"}
    expression = "".join(wildcards.get(each) or re.escape(each) for each in pattern)
    return re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL) is not None


def is_shadowed(public_path: str) -> bool:
    """Return whether the platform itself serves ``public_path`` on a chute's host (api, section 2)."""
    return public_path in platform_rules.PLATFORM_PATHS or any(
        public_path == prefix or public_path.startswith(prefix + "/") for prefix in platform_rules.PLATFORM_PREFIXES
    )


def resolve_gpus(selector: Mapping[str, Any]) -> frozenset[str]:
    """Return the GPUs that the API finds for a chute's node selector (api, section 4). Empty: it ends in a bare 500.

    The ``supported_gpus`` of a record of the API are returned unchanged. Else those of ``include`` (default: all) that
    are not in ``exclude``, and are not too expensive. Only TEE_GPU's memory is known; the others count as large enough.
    So does a GPU that we do not know: it is used only when the user overruled rule gpu-name.
    """
    if isinstance(supported := selector.get("supported_gpus"), list):
        return frozenset(map(str, supported))
    prices = platform_rules.GPU_HOURLY_PRICES
    included, excluded = (_read_names(selector.get(field)) for field in ("include", "exclude"))
    names = {name for name in included or prices if name in prices or name.lower() not in prices}
    names -= {name for name in names if name.lower() in map(str.lower, excluded)}
    memory = read_setting("min_vram_gb_per_gpu", selector.get("min_vram_gb_per_gpu"))
    if isinstance(memory, int) and memory > platform_rules.TEE_GPU_MEMORY_GB:
        names.discard(platform_rules.TEE_GPU)
    max_price = read_setting("max_hourly_price_per_gpu", selector.get("max_hourly_price_per_gpu"))
    is_limited = isinstance(max_price, int | float)
    return frozenset(name for name in names if not is_limited or prices.get(name, max_price) <= max_price)


def _read_names(names: object) -> list[str]:
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []


def is_tee_placement(gpu_count: object, include: object) -> bool:
    """Return whether the API accepts a TEE chute with these settings of its NodeSelector (api, section 4).

    The API accepts a name in upper case here, but does not find it later: the deployment then ends in a bare 500.
    """
    names = [str(name).lower() for name in include] if isinstance(include, (list, tuple)) else []
    count = read_setting("gpu_count", gpu_count)
    return count == platform_rules.TEE_GPU_COUNT and names == [platform_rules.TEE_GPU]


def find_subnet_word(chute_name: str) -> str | None:
    """Return the word in ``chute_name`` that only its subnet may use, or None (api, section 4)."""
    return next((word for word in platform_rules.SUBNET_WORDS if word in chute_name.lower()), None)


def is_tee_name(chute_name: str) -> bool:
    """Return whether a chute of this name needs ``tee=True`` (api, section 4)."""
    return "TEE" in chute_name or chute_name.lower().endswith("tee")


def is_banned_secret(name: str) -> bool:
    """Return whether the platform may reject a secret of this name with 403; case is ignored (api, section 4)."""
    key = name.lower()
    return (
        key in platform_rules.BANNED_SECRETS
        or key.startswith(platform_rules.BANNED_SECRET_PREFIXES)
        or any(part in key for part in platform_rules.BANNED_SECRET_PARTS)
    )


def is_exceptable_secret(name: str) -> bool:
    """Return whether a banned ``name`` may be one of the exceptions, whose list is not known (api, section 4)."""
    return name.lower().startswith(platform_rules.EXCEPTED_SECRET_PREFIXES)


def find_unknown_gpus(names: Iterable[object]) -> list[str]:
    """Return the ``names`` that the API does not know as GPUs, sorted; case is ignored (api, section 4)."""
    known = platform_rules.GPU_HOURLY_PRICES
    return sorted({str(name) for name in names if not isinstance(name, str) or name.lower() not in known})


def find_reserved_port_problem(port: int) -> str | None:
    """Return why a wrapped service can never use ``port`` of an instance, or None (section 1)."""
    owner = platform_rules.RESERVED_PORTS.get(port)
    return f"port {port} belongs to {owner} on an instance" if owner else None


def find_size_problem(size_bytes: int) -> str | None:
    """Return what happens to a call with a body of ``size_bytes``, or None (newest commit only; api, section 3)."""
    if size_bytes <= platform_rules.MAX_REQUEST_BYTES:
        return None
    return (
        f"the body of the call has {size_bytes / 1024**2:.1f} MiB. The newest version of the platform's API accepts only "
        f"{describe_body_limit()}, and refuses more with 413"
    )


def describe_body_limit() -> str:
    """Return how large a call's body may be, and the files in it (newest commit only; api, section 3)."""
    mib = platform_rules.MAX_REQUEST_BYTES // 1024**2
    return f"{mib} MiB, which is about {mib * 3 // 4} MiB of a file in base64"


def is_success_status(status: int) -> bool:
    """Return whether the API accepts an instance's response with ``status`` as a success: 2xx with a body (api, section 3)."""
    return 200 <= status < 300 and status != 204


def find_service_port_problem(port: int) -> str | None:
    """Return why a wrapped service cannot listen on ``port`` of an instance, or None (section 1)."""
    if not 1 <= port <= 65535:
        return f"port {port} is not between 1 and 65535"
    if problem := find_reserved_port_problem(port):
        return problem
    if port < platform_rules.MIN_UNPRIVILEGED_PORT:
        return f"port {port} is below {platform_rules.MIN_UNPRIVILEGED_PORT}, and an instance runs as uid {platform_rules.INSTANCE_UID}"
    return None


def suggest_service_port(port: int) -> int:
    """Return another port for a service that cannot listen on ``port`` of an instance: 80 → 8080, 8000 → 18000."""
    return 8000 + port if port < platform_rules.MIN_UNPRIVILEGED_PORT else 18000 + port % 1000
