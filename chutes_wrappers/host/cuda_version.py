"""The CUDA version of an image, and whether the platform's GPU can run its code. Without running the image.

PLATFORM.md, section 1: the GPU is of the Blackwell generation, whose code only CUDA 12.8 and later contain.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.host.container_engine.engine import ImageFiles

_VARIABLES = ("CUDA_VERSION", "NV_CUDA_CUDART_VERSION", "NVIDIA_REQUIRE_CUDA")
# "12.4.1", "cuda>=12.4 …", or as in the names of wheels: "cu124".
_TEXT_VERSION = re.compile(r"(?:^|cuda>=)(?:(\d{1,2})[.-](\d{1,2})|(?:cu)?(\d\d)(\d)(?!\d))")
_LABEL_NAME = re.compile(r"(?:^|[._-])cuda(?:[._-]?version)?\Z", re.IGNORECASE)
# Files of the toolkit and of Debian's packages, with what precedes the version in them. An image may contain any text: no
# pattern takes more than linear time, or finds a number of any length.
_TOOLKIT_FILES = (
    ("/usr/local/cuda/version.json", re.compile(rb'"cuda"\s*:\s*\{[^{}]*"version"\s*:\s*"(\d{1,3})\.(\d{1,3})')),
    ("/usr/local/cuda/version.txt", re.compile(rb"CUDA Version (\d{1,3})\.(\d{1,3})")),
    ("/var/lib/dpkg/status", re.compile(rb"^Package: cuda-cudart-(\d{1,3})-(\d{1,3})$", re.MULTILINE)),
)
# Files of Python packages: torch's own (CUDA of its wheels), and nvidia-cuda-runtime of CUDA 12 and 13.
_TORCH_FILE = "torch/version.py"
_TORCH_VERSION = re.compile(rb"""^cuda\b[^=\n]*=\s*["'](\d{1,3})\.(\d{1,3})""", re.MULTILINE)
_RUNTIME_FILES = tuple(f"nvidia/{name}/include/cuda_runtime_api.h" for name in ("cuda_runtime", "cu13"))
_RUNTIME_VERSION = re.compile(rb"^#define\s+CUDART_VERSION\s+(\d{1,3})(\d\d)0$", re.MULTILINE)
# The packages nvidia-…-cu12 of what most programs link, and those of CUDA 13 together.
_LIBRARY_PACKAGES = ("cuda_runtime", "cublas", "cudnn", "cuda_nvrtc", "cu13")
_PREFIXES = ("/usr/local", "/usr", "/opt/venv", "/opt/conda", "/venv")
_PATH = re.compile(r"""/[^\s"':;=&|]+""")  # also in a shell's command line
# Each costs some requests to the engine, and an image's PATH may have any length.
_MOST_CONFIGURED_PREFIXES = 50
_VENVS = (".venv", "venv")
_PYTHONS = tuple(f"python3.{minor}" for minor in range(8, 15))
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"


@dataclass(frozen=True)
class CudaVersion:
    """Major and minor version, and what says so: a variable, a label or a file."""

    number: tuple[int, int]
    source: str

    def __str__(self) -> str:
        return f"{self.number[0]}.{self.number[1]}"


def find_cuda_version(environment: Mapping[str, str], labels: Mapping[str, str] | None = None) -> CudaVersion | None:
    """Return the CUDA version in an image's variables, else in its labels; None for an image without CUDA."""
    for name in _VARIABLES:
        if version := _parse_text(environment.get(name, ""), name):
            return version
    for name, value in (labels or {}).items():
        if _LABEL_NAME.search(name) and (version := _parse_text(value, f"the label {name}")):
            return version
    return None


def inspect_cuda_version(files: ImageFiles, spec: LaunchSpec, labels: Mapping[str, str]) -> CudaVersion | None:
    """Return the CUDA version that an image's code was built with; None for an image without CUDA.

    Python packages bring their own CUDA, whatever the image's toolkit is. The oldest of them counts, then the toolkit's
    files, then variables and labels.
    """
    in_packages = [*_find_package_versions(files, list_package_folders(files, spec))]
    if in_packages:
        return min(in_packages, key=lambda version: version.number)
    for path, pattern in _TOOLKIT_FILES:
        if numbers := pattern.findall(files.read(path) or b""):
            return CudaVersion(max((int(major), int(minor)) for major, minor in numbers), path)
    return find_cuda_version(spec.environment, labels)


def list_package_folders(files: ImageFiles, spec: LaunchSpec) -> tuple[str, ...]:
    """Return the folders of Python packages in an image, of each Python that its variables and command lead to."""
    folders: list[str] = []
    for prefix in _list_prefixes(spec):
        if files.exists(f"{prefix}/bin/python3"):
            names = (f"{prefix}/lib/{python}/{packages}" for python in _PYTHONS for packages in _PACKAGE_FOLDERS)
            folders += filter(files.exists, names)
    if files.exists(_DEBIAN_PACKAGES):
        folders.append(_DEBIAN_PACKAGES)
    return tuple(folders)


def has_cuda_libraries(files: ImageFiles, spec: LaunchSpec) -> bool:
    """Return whether pip has installed CUDA's libraries into an image: folders ``nvidia/*/lib`` beside its packages."""
    folders = list_package_folders(files, spec)
    return any(files.exists(f"{folder}/nvidia/{name}/lib") for folder in folders for name in _LIBRARY_PACKAGES)


def describe_cuda_concern(spec: LaunchSpec) -> str:
    """Return a warning when the CUDA version of an image is too old for the platform's GPU, else an empty string."""
    if spec.cuda_version:
        major, minor = map(int, spec.cuda_version.split("."))
        return format_cuda_concern(CudaVersion((major, minor), spec.cuda_source))
    return format_cuda_concern(find_cuda_version(spec.environment))


def format_cuda_concern(version: CudaVersion | None) -> str:
    """Return a warning when ``version`` is too old for the platform's GPU, else an empty string."""
    if version is None or version.number >= platform_rules.MIN_CUDA:
        return ""
    min_version = ".".join(map(str, platform_rules.MIN_CUDA))
    return (
        f"the image has CUDA {version} ({version.source}); the platform's GPU, {platform_rules.TEE_GPU} (Blackwell), needs "
        f"{min_version} or newer: use a variant of the image that is built with it"
    )


def _parse_text(text: str, source: str) -> CudaVersion | None:
    match = _TEXT_VERSION.search(text)
    return CudaVersion((int(match[1] or match[3]), int(match[2] or match[4])), source) if match else None


def _list_prefixes(spec: LaunchSpec) -> Iterable[str]:
    """Return the folders that may have ``bin/python3``, each once."""
    environment = spec.environment
    programs = (path for word in spec.argv for path in _PATH.findall(word))
    bins = [*environment.get("PATH", "").split(":"), *map(posixpath.dirname, programs)]
    prefixes = [
        *(environment.get(name, "") for name in ("VIRTUAL_ENV", "CONDA_PREFIX")),
        *(posixpath.dirname(folder) for folder in map(posixpath.normpath, bins) if posixpath.basename(folder) == "bin"),
        *(posixpath.join(spec.working_dir, name) for name in _VENVS),
    ]
    configured = dict.fromkeys(prefix.rstrip("/") for prefix in prefixes if prefix.startswith("/") and prefix != "/")
    return dict.fromkeys((*list(configured)[:_MOST_CONFIGURED_PREFIXES], *_PREFIXES))


def _find_package_versions(files: ImageFiles, folders: Iterable[str]) -> Iterator[CudaVersion]:
    for folder in folders:
        if match := _TORCH_VERSION.search(files.read(f"{folder}/{_TORCH_FILE}") or b""):
            yield CudaVersion((int(match[1]), int(match[2])), f"torch in {folder}")
        for path in _RUNTIME_FILES:
            if match := _RUNTIME_VERSION.search(files.read(f"{folder}/{path}") or b""):
                yield CudaVersion((int(match[1]), int(match[2])), f"nvidia-cuda-runtime in {folder}")
