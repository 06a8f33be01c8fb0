"""The modules of a folder, and how far each has come."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.credentials import account
from chutes_wrappers.host.modules import PROJECT_ROOT, ModuleFacts, read_module
from chutes_wrappers.host.platform_lookup import own_chutes, own_images
from chutes_wrappers.host.platform_objects import chute_info, image_info

UNKNOWN = "?"
_TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ModuleState:
    """``manifest``, ``image`` and ``chute`` in a word or two; "?" for what nobody could be asked."""

    name: str
    chute_name: str
    manifest: str
    image: str
    chute: str


def module_states(folder: Path) -> list[ModuleState]:
    """The state of every ``deploy_*.py`` in ``folder``, else in the project's root; asks the platform, 5 s at most each time."""
    paths = sorted(folder.glob("deploy_*.py")) or sorted(PROJECT_ROOT.glob("deploy_*.py"))
    told = _told()
    return [_state(path, told) for path in paths]


def chute_names(states: Sequence[ModuleState]) -> list[str]:
    """The chutes that the modules define, the deployed ones first."""
    named = [state for state in states if state.chute_name]
    return [state.chute_name for state in sorted(named, key=lambda state: state.chute in ("not deployed", UNKNOWN))]


def _state(path: Path, told: tuple[Mapping[str, str], Mapping[str, str]] | None) -> ModuleState:
    try:
        facts = read_module(path)
    except WrapperError:
        return ModuleState(name=path.stem, chute_name="", manifest="cannot be read", image=UNKNOWN, chute=UNKNOWN)
    if told is None:
        image = chute = UNKNOWN
    else:
        images, chutes = told
        image = images.get(f"{facts.chute_name}:{facts.chute_tag}".lower(), "not built")
        chute = chutes.get(facts.chute_name.lower(), "not deployed")
    return ModuleState(name=path.stem, chute_name=facts.chute_name, manifest=_manifest(facts), image=image, chute=chute)


def _manifest(facts: ModuleFacts) -> str:
    if not facts.manifest_path.exists():
        return "none"
    try:
        return f"{len(load_manifest(facts.manifest_path).routes)} routes"
    except WrapperError:
        return "broken"


def _told() -> tuple[Mapping[str, str], Mapping[str, str]] | None:
    """Status of every image and chute of the account, by its name; None where the platform does not tell."""
    with contextlib.suppress(WrapperError):
        own = account()
        with platform_api.PlatformApi(platform_api.api_url(), own, timeout_s=_TIMEOUT_S) as api:
            images = [image_info(one) for one in own_images(api)]
            chutes = [chute_info(one) for one in own_chutes(api)]
        return (
            {one.reference.lower(): one.status for one in images},
            {one.name.lower(): "hot" if one.hot else "cold" for one in chutes},
        )
    return None
