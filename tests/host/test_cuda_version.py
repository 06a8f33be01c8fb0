"""The CUDA version of an image, and the warning when the platform's GPU cannot run its code."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import parse_manifest
from chutes_wrappers.host.cuda_version import (
    describe_cuda_concern,
    find_cuda_version,
    format_cuda_concern,
    has_cuda_libraries,
    list_package_folders,
)
from chutes_wrappers.host.inspection import describe_concerns, inspect_image
from tests.host.test_inspection import Image

SITE = "/opt/app/lib/python3.11/site-packages"
APP = {"/opt/app/bin/python3": b"", SITE: b""}
ON_PATH = ("PATH=/opt/app/bin:/usr/bin",)
TORCH = b"from typing import Optional\n__version__ = '2.5.1+cu%s'\ncuda: Optional[str] = '%s'\n"
RUNTIME = b"/* c */\n#define CUDART_VERSION  %d\n"
DPKG = b"Package: libc6\nVersion: 2.36\n\nPackage: cuda-cudart-12-4\n\nPackage: cuda-cudart-12-6\n"


def find_concern(
    env: tuple[str, ...] = (), files: Mapping[str, bytes] | None = None, labels: Mapping[str, str] | None = None
) -> str:
    spec = inspect_image(Image({"Env": [*env], "Cmd": ["serve"], "Labels": labels}, extra=files or {}), "vendor/app:1")
    concerns = describe_concerns(spec)
    assert len(concerns) < 2
    return "".join(concerns)


@pytest.mark.parametrize("version", ["10.2", "11.8", "12.2", "12.3", "12.4", "12.6", "12.7"])
def test_an_older_version_gets_a_warning_that_names_the_gpu(version: str) -> None:
    assert find_concern((f"CUDA_VERSION={version}.1",)) == (
        f"the image has CUDA {version} (CUDA_VERSION); the platform's GPU, pro_6000 (Blackwell), needs 12.8 or newer: "
        "use a variant of the image that is built with it"
    )


@pytest.mark.parametrize("version", ["12.8", "12.9.1", "12.10.0", "13.0"])
def test_a_version_that_the_gpu_runs_gets_none(version: str) -> None:
    assert find_concern((f"CUDA_VERSION={version}",)) == ""


@pytest.mark.parametrize("variable", ["LANG=C", "CUDA_VERSION=", "CUDA_VERSION=12", "CUDA_VERSION=latest"])
def test_an_image_without_a_known_cuda_gets_none(variable: str) -> None:
    assert find_concern((variable,), {"/var/lib/dpkg/status": b"Package: libc6\n"}) == ""


@pytest.mark.parametrize(
    ("variables", "labels", "found", "source"),
    [
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.6 brand=tesla,driver>=470"}, {}, (12, 6), "NVIDIA_REQUIRE_CUDA"),
        ({"NV_CUDA_CUDART_VERSION": "11.8.89-1"}, {}, (11, 8), "NV_CUDA_CUDART_VERSION"),
        ({"CUDA_VERSION": "cu124"}, {}, (12, 4), "CUDA_VERSION"),
        ({"CUDA_VERSION": "128"}, {}, (12, 8), "CUDA_VERSION"),
        ({}, {"maintainer": "x", "com.example.cuda-version": "12.4"}, (12, 4), "the label com.example.cuda-version"),
        ({"CUDA_VERSION": "12.9"}, {"cuda": "12.4"}, (12, 9), "CUDA_VERSION"),
        ({}, {"com.example.barracuda": "1.2"}, None, ""),
    ],
)
def test_variables_and_labels_are_read(
    variables: dict[str, str], labels: dict[str, str], found: tuple[int, int] | None, source: str
) -> None:
    version = find_cuda_version(variables, labels)
    assert (version and version.number, version.source if version else "") == (found, source)


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        ({"/usr/local/cuda/version.json": b'{"cuda": {"name": "CUDA", "version": "12.4.1"}}'}, "12.4", "version.json"),
        ({"/usr/local/cuda/version.txt": b"CUDA Version 11.0.207"}, "11.0", "version.txt"),
        ({"/var/lib/dpkg/status": DPKG}, "12.6", "/var/lib/dpkg/status"),
        ({**APP, f"{SITE}/torch/version.py": TORCH % (b"121", b"12.1")}, "12.1", f"torch in {SITE}"),
        (
            {**APP, f"{SITE}/nvidia/cuda_runtime/include/cuda_runtime_api.h": RUNTIME % 12040},
            "12.4",
            f"nvidia-cuda-runtime in {SITE}",
        ),
    ],
)
def test_files_are_read(files: dict[str, bytes], version: str, source: str) -> None:
    concern = find_concern(ON_PATH, files)
    assert f"CUDA {version} (" in concern
    assert source in concern


def test_what_packages_bring_counts_before_the_toolkit_and_its_variables() -> None:
    files = {**APP, f"{SITE}/torch/version.py": TORCH % (b"128", b"12.8"), "/var/lib/dpkg/status": DPKG}
    assert find_concern((*ON_PATH, "CUDA_VERSION=12.4.1"), files) == ""
    older = {**files, f"{SITE}/nvidia/cuda_runtime/include/cuda_runtime_api.h": RUNTIME % 12010}
    assert "CUDA 12.1 (nvidia-cuda-runtime" in find_concern((*ON_PATH, "CUDA_VERSION=12.8.0"), older)
    newest = {**APP, f"{SITE}/nvidia/cu13/include/cuda_runtime_api.h": RUNTIME % 13000}
    assert find_concern((*ON_PATH, "CUDA_VERSION=12.4"), newest) == ""


def test_torch_without_cuda_has_no_version() -> None:
    files = {**APP, f"{SITE}/torch/version.py": b"__version__ = '2.5.1+cpu'\ncuda: Optional[str] = None\n"}
    assert find_concern(ON_PATH, files) == ""


@pytest.mark.parametrize(
    "spec",
    [
        LaunchSpec(environment={"PATH": "/usr/bin:/opt/app/bin/"}),
        LaunchSpec(environment={"VIRTUAL_ENV": "/opt/app"}),
        LaunchSpec(environment={"CONDA_PREFIX": "/opt/app"}),
        LaunchSpec(entrypoint=("/opt/app/bin/gunicorn", "app:app")),
        LaunchSpec(cmd=("/bin/sh", "-c", "A=1 exec '/opt/app/bin/python' -m app; true")),
    ],
)
def test_the_packages_of_each_python_in_use_are_found(spec: LaunchSpec) -> None:
    assert list_package_folders(Image(extra=APP), spec) == (SITE,)


def test_a_venv_in_the_working_directory_is_found() -> None:
    folder = "/srv/.venv/lib/python3.10/site-packages"
    image = Image(extra={"/srv/.venv/bin/python3": b"", folder: b"", f"{folder}/nvidia/cublas/lib": b""})
    assert list_package_folders(image, LaunchSpec(working_dir="/srv")) == (folder,)
    assert has_cuda_libraries(image, LaunchSpec(working_dir="/srv"))
    assert not has_cuda_libraries(Image(extra=APP), LaunchSpec(working_dir="/srv"))


def test_a_manifest_without_the_fact_is_judged_by_its_variables() -> None:
    assert "CUDA 12.4 (CUDA_VERSION)" in describe_cuda_concern(LaunchSpec(environment={"CUDA_VERSION": "12.4.1"}))
    assert describe_cuda_concern(LaunchSpec(cuda_version="12.8", environment={"CUDA_VERSION": "12.4.1"})) == ""
    assert format_cuda_concern(None) == ""


@pytest.mark.parametrize("version", ["twelve", "12", "12.4.1", "12.4\n"])
def test_another_text_in_a_manifest_is_an_error_that_names_the_field(version: str) -> None:
    with pytest.raises(ConfigurationError, match="cuda_version"):
        parse_manifest(json.dumps({"routes": [], "image": {"cuda_version": version}}), where="m.routes.json")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/usr/local/cuda/version.json", b'"cuda":{' * 200_000),
        ("/usr/local/cuda/version.json", b'"cuda": {"version": "%s.1"' % (b"9" * 5000)),
        ("/usr/local/cuda/version.txt", b"CUDA Version %s.1" % (b"9" * 5000)),
        ("/var/lib/dpkg/status", b"Package: cuda-cudart-%s-1\n" % (b"9" * 5000)),
        (f"{SITE}/torch/version.py", b'cuda = "%s.1"' % (b"9" * 5000)),
        (f"{SITE}/nvidia/cuda_runtime/include/cuda_runtime_api.h", b"#define CUDART_VERSION %s0\n" % (b"9" * 5000)),
    ],
)
def test_a_hostile_file_is_searched_in_bounded_time_and_names_no_version(path: str, content: bytes) -> None:
    assert find_concern(ON_PATH, {**APP, path: content}) == ""


def test_a_long_path_variable_is_not_searched_to_its_end() -> None:
    searched: list[str] = []

    class Files(Image):
        def exists(self, path: str) -> bool:
            searched.append(path)
            return False

    bins = ":".join(f"/{number}/bin" for number in range(10_000))
    assert list_package_folders(Files({}), LaunchSpec(environment={"PATH": bins})) == ()
    assert len(searched) < 100
