"""The staging folder of SDK commands: the module, our package and the manifest, and nothing else.

The SDK requires the module in the current folder and the sources of ``.add()`` below it (SDK entrypoint/build.py). It sends
the whole folder to the engine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core import layout, program
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import SUFFIX, Manifest, write_manifest
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.sdk.route_source import INLINE_VARIABLE, PATH_VARIABLE, find_manifest

# A shorter value of CHUTE_ENV, such as a number, is in too many other texts.
_SHORTEST_SECRET = 8
_IGNORE_CACHES = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A staging folder and the environment for SDK commands in it. ``user_module`` is the user's file of ``module``.

    ``variables`` is the part of ``environment`` that SDK commands in this folder need. ``paths`` maps the paths of copies to
    the names that the user knows, the most specific first. ``secrets`` are values of CHUTE_ENV and
    CHUTE_HEADERS: the platform may repeat them.
    """

    folder: Path
    module: str
    user_module: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str]
    paths: Mapping[str, str]
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def reference(self) -> str:
        """``module:chute``, as the SDK's command line expects it."""
        return f"{self.module}:chute"


def find_known_manifest(facts: ModuleFacts) -> Manifest | None:
    """Return a module's manifest from the first source that exists: inline variable, path variable, file beside the module."""
    return find_manifest({"__file__": str(facts.path)})


@contextlib.contextmanager
def create_stage(facts: ModuleFacts, manifest: Manifest, *, username: str) -> Iterator[Stage]:
    """Create a staging folder for ``facts``, which is removed when the context ends.

    Raises ConfigurationError when the module cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="chutes-wrappers-") as name:
        folder, scratch = Path(name) / "context", Path(name) / "scratch"
        scratch.mkdir()
        for source in layout.PACKAGE_SOURCES:
            _copy(program.find_source(source), folder / source)
        try:
            shutil.copyfile(facts.path, folder / facts.path.name)
        except OSError as error:
            raise ConfigurationError(f"cannot be read ({error.strerror})", where=str(facts.path)) from error
        manifest_path = folder / f"{facts.name}{SUFFIX}"
        write_manifest(manifest, manifest_path)
        variables = _build_variables(folder, scratch, manifest_path, username)
        yield Stage(
            folder=folder,
            module=facts.name,
            user_module=facts.path,
            environment={**_inherit_environment(), **variables},
            variables=variables,
            paths={
                str(folder / facts.path.name): str(facts.path),
                str(manifest_path): _find_manifest_source(facts),
                str(folder): str(facts.path.parent if program.IS_INSTALLED else program.PROJECT_FILES),
            },
            secrets=tuple(value for value in _list_values(facts) if len(value) >= _SHORTEST_SECRET),
        )


def _list_values(facts: ModuleFacts) -> list[str]:
    return [*facts.env.values(), *(value for _, value in facts.headers.iter_literals())]


def _find_manifest_source(facts: ModuleFacts) -> str:
    if os.environ.get(INLINE_VARIABLE):
        return INLINE_VARIABLE
    return os.environ.get(PATH_VARIABLE) or str(facts.manifest_path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_IGNORE_CACHES)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _inherit_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != INLINE_VARIABLE}


def _build_variables(folder: Path, scratch: Path, manifest_path: Path, username: str) -> dict[str, str]:
    return {
        PATH_VARIABLE: str(manifest_path),
        "CHUTES_USERNAME": username,
        "CHUTES_ALLOW_MISSING": "true",
        # Not the caller's, and in --run not the module's, which is for its service. Our package is found without it.
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",
        # `chutes build --local` leaves its Dockerfile in the temporary folder (SDK entrypoint/build.py).
        "TMPDIR": str(scratch),
    }
