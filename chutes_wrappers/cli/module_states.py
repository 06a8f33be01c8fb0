"""The modules of a folder, and how far each has come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.account.credentials import account
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.modules.module_facts import ModuleFacts, NotRun, read_module
from chutes_wrappers.host.modules.module_files import module_files
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.lookup import own_chutes, own_images
from chutes_wrappers.host.platform_api.objects import chute_info, image_info

UNKNOWN = "?"
BUILT_HERE = "built here"
_TIMEOUT_S = 5


@dataclass(frozen=True, kw_only=True)
class ModuleState:
    """``manifest``, ``image`` and ``chute`` in a word or two; "?" for what nobody could be asked."""

    name: str
    chute_name: str
    manifest: str
    image: str
    chute: str


@dataclass(frozen=True, kw_only=True)
class _Platform:
    """Status of every image and chute of the account, by its name; ``silence`` is why there are none to be had."""

    images: Mapping[str, str]
    chutes: Mapping[str, str]
    silence: str = ""


def module_states(folder: Path) -> tuple[list[ModuleState], str]:
    """The state of every ``deploy_*.py`` in ``folder``, else in the project's root, and why some of it is not known.

    Asks the platform and the Docker engine, 5 s at most for each answer. Runs no module: nobody has named one.
    """
    paths = module_files(folder)
    if not paths:
        return [], ""
    known = {path: _facts(path) for path in paths}
    platform = _platform()
    built_here = _built_here(facts.image for facts in known.values() if isinstance(facts, ModuleFacts))
    return [_state(path, facts, platform, built_here) for path, facts in known.items()], platform.silence


def chute_names(states: Sequence[ModuleState]) -> list[str]:
    """The chutes that the modules define, the deployed ones first."""
    named = [state for state in states if state.chute_name]
    return [state.chute_name for state in sorted(named, key=lambda state: state.chute in ("not deployed", UNKNOWN))]


def _facts(path: Path) -> ModuleFacts | str:
    """What the module says; why that is not known otherwise."""
    try:
        return read_module(path, may_run=False)
    except NotRun:
        return "not run"
    except WrapperError:
        return "cannot be read"


def _state(path: Path, facts: ModuleFacts | str, platform: _Platform, built_here: set[str]) -> ModuleState:
    if isinstance(facts, str):
        return ModuleState(name=path.stem, chute_name="", manifest=facts, image=UNKNOWN, chute=UNKNOWN)
    nothing = BUILT_HERE if facts.image in built_here else UNKNOWN if platform.silence else "not built"
    return ModuleState(
        name=path.stem,
        chute_name=facts.chute_name,
        manifest=_manifest(facts),
        image=platform.images.get(facts.image, nothing),
        chute=platform.chutes.get(facts.chute_name.lower(), UNKNOWN if platform.silence else "not deployed"),
    )


def _manifest(facts: ModuleFacts) -> str:
    if not facts.manifest_path.exists():
        return "none"
    try:
        return f"{len(load_manifest(facts.manifest_path).routes)} routes"
    except WrapperError:
        return "broken"


def _built_here(references: Iterable[str]) -> set[str]:
    """Those that the Docker engine has; none where there is no engine."""
    with contextlib.suppress(WrapperError), contextlib.closing(connect(timeout_s=_TIMEOUT_S)) as engine:
        return {reference for reference in references if engine.find_image(reference) is not None}
    return set()


def _platform() -> _Platform:
    try:
        own = account()
        with api_client.PlatformApi(api_client.api_url(), own, timeout_s=_TIMEOUT_S) as api:
            images = [image_info(one) for one in own_images(api)]
            chutes = [chute_info(one) for one in own_chutes(api)]
    except WrapperError as failure:
        return _Platform(images={}, chutes={}, silence=failure.what)
    return _Platform(
        images={one.reference.lower(): one.status for one in images},
        chutes={one.name.lower(): "hot" if one.hot else "cold" for one in chutes},
    )
