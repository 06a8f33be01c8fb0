"""Compatibility of an image's CUDA version with the platform's GPU. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chutes_wrappers.core import platform_rules

_VARIABLES = ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "NV_CUDA_CUDART_VERSION")
_VERSION = re.compile(r"(?:^|cuda>=)(\d+)\.(\d+)")


def build_cuda_note(environment: Mapping[str, str]) -> str:
    """Return a note if the CUDA version in an image's variables is too old for the platform's GPU, else an empty string."""
    version = _read_cuda_version(environment)
    if version is None or version >= platform_rules.MIN_CUDA:
        return ""
    return f"the image has CUDA {_format_version(version)}; the platform's GPU, {platform_rules.TEE_GPU}, needs {_format_version(platform_rules.MIN_CUDA)} or newer"


def _read_cuda_version(environment: Mapping[str, str]) -> tuple[int, int] | None:
    for name in _VARIABLES:
        if match := _VERSION.search(environment.get(name, "")):
            return int(match[1]), int(match[2])
    return None


def _format_version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
