"""The modules of a folder and their states: manifest, image and chute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.modules.module_facts import LiteralFacts, ModuleFacts, read_literals
from chutes_wrappers.host.modules.module_files import list_module_files
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_urls import resolve_api_url
from chutes_wrappers.host.platform_api.lookup import list_own_chutes, list_own_images
from chutes_wrappers.host.platform_api.objects import parse_chute, parse_image

UNKNOWN = "?"
COMPUTED = "computed"
BUILT_HERE = "built here"
_TIMEOUT_S = 5


@dataclass(frozen=True, kw_only=True)
class ModuleState:
    """The states of ``manifest``, ``image`` and ``chute`` in a word or two; "?" if unknown, "computed" if only running the module shows its name."""

    name: str
    chute_name: str
    manifest: str
    image: str
    chute: str


@dataclass(frozen=True, kw_only=True)
class _PlatformStatuses:
    """The status of every image and chute of the account by name; ``error`` is why they are unknown."""

    images: Mapping[str, str]
    chutes: Mapping[str, str]
    error: str = ""


def list_module_states(folder: Path) -> tuple[list[ModuleState], str]:
    """Return the state of every ``deploy_*.py`` in ``folder``, else in the project's root, and why some states are unknown.

    Queries the platform and the Docker engine, with a timeout of 5 s per response. Reads literals, and runs no module: the user selected none.
    """
    paths = list_module_files(folder)
    if not paths:
        return [], ""
    literals_by_path = {path: _read_literals(path) for path in paths}
    statuses = _fetch_statuses()
    local_images = _find_local_images(
        each.image for each in literals_by_path.values() if each is not None and each.image
    )
    return [_build_state(path, each, statuses, local_images) for path, each in literals_by_path.items()], statuses.error


def list_chute_names(states: Sequence[ModuleState]) -> list[str]:
    """Return the names of the chutes that the modules define, deployed ones first."""
    with_names = [state for state in states if state.chute_name]
    return [
        state.chute_name for state in sorted(with_names, key=lambda state: state.chute in ("not deployed", UNKNOWN))
    ]


def _read_literals(path: Path) -> LiteralFacts | None:
    """Return the module's literals; None if they cannot be read."""
    try:
        return read_literals(path)
    except WrapperError:
        return None


def _build_state(
    path: Path, literals: LiteralFacts | None, statuses: _PlatformStatuses, local_images: set[str]
) -> ModuleState:
    if literals is None:
        return ModuleState(name=path.stem, chute_name="", manifest="cannot be read", image=UNKNOWN, chute=UNKNOWN)
    image, chute_name = literals.image, literals.facts.chute_name
    image_default = BUILT_HERE if image in local_images else UNKNOWN if statuses.error else "not built"
    chute_default = UNKNOWN if statuses.error else "not deployed"
    return ModuleState(
        name=path.stem,
        chute_name=chute_name,
        manifest=_describe_manifest(literals.facts),
        image=statuses.images.get(image, image_default) if image else COMPUTED,
        chute=statuses.chutes.get(chute_name.lower(), chute_default) if chute_name else COMPUTED,
    )


def _describe_manifest(facts: ModuleFacts) -> str:
    if not facts.manifest_path.is_file():
        return "none"
    try:
        return f"{len(load_manifest(facts.manifest_path).routes)} routes"
    except WrapperError:
        return "invalid"


def _find_local_images(references: Iterable[str]) -> set[str]:
    """Return the references that the Docker engine has; none without an engine."""
    with contextlib.suppress(WrapperError), contextlib.closing(connect(timeout_s=_TIMEOUT_S)) as engine:
        return {reference for reference in references if engine.find_image(reference) is not None}
    return set()


def _fetch_statuses() -> _PlatformStatuses:
    try:
        credentials = read_account()
        with api_client.PlatformApi(resolve_api_url(), credentials, timeout_s=_TIMEOUT_S) as api:
            images = [parse_image(one) for one in list_own_images(api)]
            chutes = [parse_chute(one) for one in list_own_chutes(api)]
    except WrapperError as failure:
        return _PlatformStatuses(images={}, chutes={}, error=failure.what)
    return _PlatformStatuses(
        images={one.reference.lower(): one.status for one in images},
        chutes={one.name.lower(): one.state for one in chutes},
    )
