"""What the forge removes from an image (PLATFORM.md, section 1): preloaded libraries, and modules that are only bytecode."""

from __future__ import annotations

import contextlib
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.host.container_engine.engine import ContainerEngine, ContainerSpec
from chutes_wrappers.runtime.launcher import split_preloads

_PRELOAD_FILE = "/etc/ld.so.preload"
_FILE_END = "-- bytecode --"
# Bytecode in __pycache__ is a cache: Python imports it only beside its source.
_SCRIPT = f"""
cat {_PRELOAD_FILE} 2>/dev/null
echo; echo '{_FILE_END}'
find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -name '*.pyc' ! -path '*/__pycache__/*' -print 2>/dev/null |
while IFS= read -r file; do [ -e "${{file%c}}" ] || echo "$file"; done
"""
_TIMEOUT_S = 120.0
_LONGEST_OUTPUT = 16 * 1024**2  # characters
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_MAX_LISTED_PACKAGES = 5


def describe_losses(
    engine: ContainerEngine, image: str, launch: LaunchSpec, module_environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return what the forge removes from ``image``, and what the host overrides: a few sentences for each thing, with the fix.

    One container without network reads its files. What an image without ``sh`` or ``find`` has stays unknown.
    ``module_environment`` (CHUTE_ENV) may load a library again.
    """
    loaded = split_preloads(str(module_environment.get("LD_PRELOAD", "")))
    preload_lines, bytecode_files = _read_files(engine, image)
    # A line of the file may end with a comment.
    listed = split_preloads(" ".join(line.partition("#")[0] for line in preload_lines))
    variables = split_preloads(launch.environment.get("LD_PRELOAD", ""))
    # In the order in which the loader takes them: the first one's functions are used (ld.so(8)).
    sources = {
        **dict.fromkeys(variables, "LD_PRELOAD"),
        **{library: _PRELOAD_FILE for library in listed if library not in variables},
    }
    lost = {library: source for library, source in sources.items() if library not in loaded}
    overridden = describe_overridden_variables(launch.environment, module_environment)
    return (*_describe_preloads(lost, loaded), *describe_bytecode(bytecode_files), *overridden)


def describe_overridden_variables(
    image_environment: Mapping[str, str], module_environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the sentence about variables of the image that the platform's host sets to other values; () without one."""
    hosts = platform_rules.HOST_VARIABLES
    names = [
        name for name, value in hosts.items()
        if image_environment.get(name, value) != value and name not in module_environment
    ]  # fmt: skip
    if not names:
        return ()
    return (
        f"the image sets {', '.join(names)}, and so does the platform's host, whose value wins "
        f"(in the emulator {', '.join(f'{name}={hosts[name]}' for name in names)}). To keep another value for the service, set it in CHUTE_ENV",
    )


def _describe_preloads(lost: Mapping[str, str], loaded: Iterable[str]) -> Iterator[str]:
    """Yield the sentences about lost libraries, with where the image sets each."""
    if lost:
        libraries = ", ".join(f"{library} ({source})" for library, source in lost.items())
        yield (
            f"the image preloads {libraries}: the forge removes that, so the service runs without it. To load it behind "
            f'the platform\'s guard library, set CHUTE_ENV = {{"LD_PRELOAD": "{":".join((*loaded, *lost))}"}}'
        )


def describe_bytecode(files: Iterable[str]) -> tuple[str, ...]:
    """Return the sentence about ``.pyc`` files that have no ``.py`` beside them, with their packages; () without one."""
    counts = _count_by_package(files)
    if not counts:
        return ()
    packages = [f"{path} ({count} file{'s' if count > 1 else ''})" for path, count in counts.items()]
    more = f" and {len(packages) - _MAX_LISTED_PACKAGES} more" if len(packages) > _MAX_LISTED_PACKAGES else ""
    return (
        f"Python code without its source in {', '.join(packages[:_MAX_LISTED_PACKAGES])}{more}: the forge deletes every "
        ".pyc file, so it cannot run on Chutes. Add the .py files to the base image",
    )


def _count_by_package(files: Iterable[str]) -> dict[str, int]:
    """Return the number of files by package or, outside of Python's package folders, by the highest of their folders."""
    counts: Counter[str] = Counter()
    for file in sorted(files, key=lambda path: (path.count("/"), path)):
        counts[_find_package(file) or _find_counted_folder(posixpath.dirname(file), counts)] += 1
    return dict(sorted(counts.items()))


def _find_package(file: str) -> str | None:
    parts = file.split("/")
    index = next((index for index, part in enumerate(parts) if part in _PACKAGE_FOLDERS), None)
    return None if index is None else "/".join(parts[: index + 2])


def _find_counted_folder(folder: str, counts: Mapping[str, int]) -> str:
    parent = folder
    while parent not in ("/", ""):
        if parent in counts:
            return parent
        parent = posixpath.dirname(parent)
    return folder


def _read_files(engine: ContainerEngine, image: str) -> tuple[list[str], list[str]]:
    """Return the lines of the image's ld.so.preload, and its ``.pyc`` files without source."""
    reader = ContainerSpec(image=image, entrypoint=["/bin/sh", "-c", _SCRIPT], command=[], user="0:0", network="none")
    with contextlib.suppress(WrapperError), engine.run(reader) as container:
        container.wait(_TIMEOUT_S)
        # On standard error the loader complains about a library that it cannot preload.
        lines = list(_limit(container.stream_logs(has_stderr=False)))
        if _FILE_END in lines:
            end = lines.index(_FILE_END)
            return lines[:end], [line for line in lines[end + 1 :] if line.endswith(".pyc")]
    return [], []


def _limit(lines: Iterable[str]) -> Iterator[str]:
    """Yield the first lines: the image's own shell prints them, and may print any number."""
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > _LONGEST_OUTPUT:
            return
        yield line
