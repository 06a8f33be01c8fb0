"""What GPU an image seems to want. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.creation.image import ImageFacts

_VARIABLES = ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "NV_CUDA_CUDART_VERSION")
_VERSION = re.compile(r"(?:^|cuda>=)(\d+)\.(\d+)")
_NVIDIA = "com.nvidia."
# Words: influxdb is no flux; llama3 and qwen2.5 are what they begin with.
_LARGE_MODEL = re.compile(
    r"(?<![a-z0-9])(vllm|sglang|text-generation-inference|tgi|ollama|llama|mistral|qwen|flux|diffusion)(?![a-z])",
    re.IGNORECASE,
)
_GIB = 1024**3
_LEAST_GB, _USUAL_GB, _LARGE_GB = 16, 24, 48


@dataclass(frozen=True, kw_only=True)
class GpuGuess:
    """Gigabytes that a GPU should have, why, and what speaks against the image's CUDA (empty: nothing)."""

    vram_gb: int
    reason: str
    note: str = ""


def guess(name: str, image: ImageFacts) -> GpuGuess:
    """The least GPU that the image called ``name`` should run on."""
    cuda = _cuda(image.environment)
    note = _cuda_problem(cuda)
    if _LARGE_MODEL.search(f"{name} {image.title}"):
        return GpuGuess(vram_gb=_LARGE_GB, reason="its name speaks of a large model", note=note)
    if not cuda and not any(label.lower().startswith(_NVIDIA) for label in image.labels):
        return GpuGuess(vram_gb=_LEAST_GB, reason="nothing in it speaks of a GPU: the least that the platform takes")
    kind = f"it has CUDA {_shown(cuda)}" if cuda else "its labels are NVIDIA's"
    if image.size_bytes < 10 * _GIB:
        return GpuGuess(vram_gb=_USUAL_GB, reason=kind, note=note)
    return GpuGuess(vram_gb=_LARGE_GB, reason=f"{kind} and is large", note=note)


def _cuda(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """The version of CUDA that the image's variables tell."""
    for name in _VARIABLES:
        if match := _VERSION.search(environment.get(name, "")):
            return int(match[1]), int(match[2])
    return None


def _cuda_problem(cuda: tuple[int, int] | None) -> str:
    lowest, highest = platform_rules.CUDA_VERSIONS
    if cuda is None or lowest <= cuda <= highest:
        return ""
    return f"it has CUDA {_shown(cuda)}; the platform asks for {_shown(lowest)} to {_shown(highest)}"


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
