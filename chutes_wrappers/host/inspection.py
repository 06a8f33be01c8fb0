"""Inspection of a base image: what it runs, and whether it can run on Chutes. Without running it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import UnsupportedImage
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_rules import IMAGE_PLATFORM
from chutes_wrappers.core.writable_paths import find_writable_path_problem
from chutes_wrappers.host.container_engine.engine import ContainerEngine, ImageFiles
from chutes_wrappers.host.cuda_version import describe_cuda_concern, inspect_cuda_version

_LIBRARY_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_PACKAGE_MANAGERS = ("/usr/bin/apt-get", "/usr/bin/dnf", "/usr/bin/microdnf", "/usr/bin/yum")
_PYTHONS = tuple(
    f"{folder}/python{version}"
    for folder in ("/usr/bin", "/usr/local/bin")
    for version in ("3.10", "3.11", "3.12", "3.13", "3.14")
)
_GLIBC_VERSION = re.compile(rb"GNU C Library [^\n]{0,200}? version (\d{1,4})\.(\d{1,4})")
_EXPOSED = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/tcp)?\Z")
_HIGHEST_PORT = 65535
_SUPPORTED_IMAGES_HINT = "use a base image on Debian 12, Ubuntu 22.04, RHEL 9 or newer"


def inspect_image(engine: ContainerEngine, reference: str) -> LaunchSpec:
    """Return the launch facts of an image. Raises UnsupportedImage, with the reason, when it cannot run on Chutes."""
    attributes = engine.inspect_image(reference)
    with engine.open_files(reference) as files:
        _check_supported(files, reference, attributes)
        spec = _build_launch_spec(files, reference, attributes)
        cuda = inspect_cuda_version(files, spec, _read_labels(attributes))
        return spec.model_copy(update={"cuda_version": str(cuda), "cuda_source": cuda.source}) if cuda else spec


def describe_concerns(spec: LaunchSpec) -> tuple[str, ...]:
    """Return warnings about an image that can run, one sentence each."""
    concerns = []
    if not spec.argv:
        concerns.append("the image has no command to run: set ENTRYPOINT in the module")
    if spec.user not in ("", "root", "0", "0:0", "1000", "1000:1000"):
        concerns.append(
            f"the image runs as {spec.user}; on Chutes its service runs as uid {platform_rules.INSTANCE_UID}"
        )
    for path in spec.volumes:
        concerns.append(
            f"the image declares VOLUME {path}: changes that a build makes there are lost, so it may not be writable"
        )
    for port in spec.exposed_ports:
        if problem := platform_checks.find_service_port_problem(port):
            concerns.append(f"the image exposes a port that is not available on Chutes: {problem}")
    if concern := describe_cuda_concern(spec):
        concerns.append(concern)
    return tuple(concerns)


def _check_supported(files: ImageFiles, reference: str, attributes: Mapping[str, Any]) -> None:
    def build_error(reason: str, next_step: str = _SUPPORTED_IMAGES_HINT) -> UnsupportedImage:
        return UnsupportedImage(reason, where=reference, next_step=next_step)

    def has_file(*paths: str) -> bool:
        return any(files.exists(path) for path in paths)

    platform = f"{attributes.get('Os', 'linux')}/{attributes.get('Architecture', 'amd64')}"
    if platform != IMAGE_PLATFORM:
        reason = f"it is built for {platform}; instances are {IMAGE_PLATFORM}"
        refuse("image-platform", build_error(reason, f"use the image's {IMAGE_PLATFORM} variant"))
    if not has_file("/bin/sh", "/usr/bin/sh"):
        raise build_error(
            "it has no shell (/bin/sh), so nothing can be installed into it", "use its variant with a shell"
        )
    if has_file("/lib/ld-musl-x86_64.so.1"):
        reason = "it is built on musl (Alpine); the SDK's libraries need glibc"
        refuse("image-libraries", build_error(reason, "use its Debian or Ubuntu variant"))
    version = _read_glibc_version(files)
    if version is None or version < platform_rules.MIN_GLIBC:
        version_text = ".".join(map(str, version)) if version else "missing"
        min_version = ".".join(map(str, platform_rules.MIN_GLIBC))
        reason = f"its glibc is {version_text}; the SDK's libraries need {min_version} or newer"
        refuse("image-libraries", build_error(reason))
    has_package_manager = has_file(*_PACKAGE_MANAGERS)
    if not has_package_manager and not has_file(*_PYTHONS):
        raise build_error("it has neither Python 3.10 or newer nor a package manager that could install it")
    openssl = [f"{folder}/{platform_rules.OPENSSL_LIBRARY}" for folder in _LIBRARY_FOLDERS]
    if not has_package_manager and not has_file(*openssl):
        reason = "it has no OpenSSL 3 and no package manager that could install it"
        refuse("image-libraries", build_error(reason))


def _read_glibc_version(files: ImageFiles) -> tuple[int, int] | None:
    for folder in _LIBRARY_FOLDERS:
        content = files.read(f"{folder}/libc.so.6")
        if content and (match := _GLIBC_VERSION.search(content)):
            return int(match[1]), int(match[2])
    return None


def _read_labels(attributes: Mapping[str, Any]) -> Mapping[str, str]:
    return (attributes.get("Config") or {}).get("Labels") or {}


def _build_launch_spec(files: ImageFiles, reference: str, attributes: Mapping[str, Any]) -> LaunchSpec:
    config = attributes.get("Config") or {}
    digests = attributes.get("RepoDigests") or ()
    user = config.get("User") or ""
    environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    return LaunchSpec(
        reference=reference,
        digest=digests[0].rpartition("@")[2] if digests else attributes.get("Id", ""),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        cmd=tuple(config.get("Cmd") or ()),
        working_dir=posixpath.join("/", config.get("WorkingDir") or ""),
        user=user,
        home=environment.get("HOME") or find_home(user, files.read("/etc/passwd") or b""),
        environment=environment,
        exposed_ports=parse_tcp_ports(config.get("ExposedPorts") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        health_check=tuple((config.get("Healthcheck") or {}).get("Test") or ()),
    )


def parse_tcp_ports(exposed: Iterable[str]) -> tuple[int, ...]:
    """Return the TCP ports of the keys of EXPOSE ("8080/tcp"), sorted."""
    # Builders other than Docker's omit the protocol, and do not expand ranges.
    matches = filter(None, map(_EXPOSED.match, exposed))
    ranges = sorted((int(match[1]), int(match[2] or match[1])) for match in matches)
    ports: list[int] = []
    for first, last in ranges:  # overlapping ranges are not expanded again
        next_port = max(first, ports[-1] + 1) if ports else first
        ports += range(next_port, max(first, min(last, _HIGHEST_PORT)) + 1)
    return tuple(ports)


def list_digests(attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return all digests of an image: its ID, and one for each registry that has it."""
    repository_digests = (
        str(repository_digest).rpartition("@")[2] for repository_digest in attributes.get("RepoDigests") or ()
    )
    return frozenset((str(attributes.get("Id", "")), *repository_digests))


def find_home(user: str, passwd: bytes) -> str:
    """Return the home folder of an image's USER (name or uid, with or without a group); root's without a USER, "/" for an unknown one."""
    name = user.partition(":")[0] or "root"
    for line in passwd.decode(errors="replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and name in (fields[0], fields[2]):
            return fields[5] or "/"
    return "/root" if name in ("root", "0") else "/"


# Paths that the engine or the GPU runtime adds, that volumes hide, or that a service does not need again.
_EXCLUDED_PATHS = re.compile(
    r"^/(proc|sys|dev|tmp|cache|\.dockerenv)(/|$)"
    r"|^/etc/((hosts|hostname|resolv\.conf|mtab|ld\.so\.cache)$|nvidia(/|$)|ld\.so\.conf\.d/.*nvcr)"
    r"|/__pycache__(/|$)|\.pyc$"
    r"|^/(usr/)?s?bin/nvidia-"
    r"|^/(usr/)?lib.*/(lib(nvidia|nvcuvid|nvoptix|cuda\.|cudadebugger|\w+_nvidia)|firmware(/nvidia|$)|gbm/nvidia)"
    r"|^(/var)?/run/nvidia|^/usr/share/(nvidia|vulkan/.*/nvidia|glvnd/.*nvidia|egl/.*nvidia)"
)


def find_writable_paths(
    changes: Iterable[tuple[str, str]], is_folder: Callable[[str], bool] = lambda path: True
) -> tuple[str, ...]:
    """Return the paths, sorted, that must be writable so that uid 1000 can make the same changes as the service.

    ``changes`` is the engine's diff: (kind, path), with the parent folders of each change listed as changed. For an added
    or deleted entry, the path is its folder. For a changed file, the paths are the file and its folder: programs replace
    complete files, and databases write journals next to theirs. Such changes leave no other trace. Folders of the system
    stay read-only (core/writable_paths.py): for a new folder in one of them, the path is the new folder. ``is_folder`` is
    asked about such entries; the recipe would create a folder in place of a file.
    """
    return tuple(sorted(path for path, has_problem in _find_needed_paths(changes, is_folder) if not has_problem))


def find_refused_changes(
    changes: Iterable[tuple[str, str]], is_folder: Callable[[str], bool] = lambda path: True
) -> tuple[str, ...]:
    """Return the paths, sorted, that the service created or changed, and that uid 1000 cannot."""
    return tuple(sorted(path for path, has_problem in _find_needed_paths(changes, is_folder) if has_problem))


def _find_needed_paths(
    changes: Iterable[tuple[str, str]], is_folder: Callable[[str], bool]
) -> Iterator[tuple[str, bool]]:
    """Yield each path once, and whether it must not become writable."""
    all_changes = list(changes)
    service_changes = [(kind, path) for kind, path in all_changes if not _EXCLUDED_PATHS.search(path)]
    added_paths = {path for kind, path in service_changes if kind == "added"}
    changed_folders = {posixpath.dirname(path) for _, path in all_changes}
    needed: dict[str, bool] = {}
    for kind, path in service_changes:
        folder = posixpath.dirname(path)
        if folder in added_paths or (kind == "changed" and path in changed_folders):
            continue
        is_refused_folder = find_writable_path_problem(folder) is not None
        if not is_refused_folder:
            needed[folder] = False
        if kind == "changed":
            needed[path] = find_writable_path_problem(path) is not None
        elif is_refused_folder:
            is_new_folder = kind == "added" and (path in changed_folders or is_folder(path))
            needed[path] = not is_new_folder or find_writable_path_problem(path) is not None
    yield from needed.items()
