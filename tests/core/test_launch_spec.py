from __future__ import annotations

import pytest
from pydantic import ValidationError

from chutes_wrappers.core.launch_spec import LaunchSpec


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "argv"),
    [
        (("/a",), ("b", "c"), ("/a", "b", "c")),
        (("/a",), (), ("/a",)),
        ((), ("b",), ("b",)),
        ((), (), ()),
    ],
)
def test_an_image_runs_its_entrypoint_with_its_command(
    entrypoint: tuple[str, ...], cmd: tuple[str, ...], argv: tuple[str, ...]
) -> None:
    assert LaunchSpec(entrypoint=entrypoint, cmd=cmd).argv == argv


def test_an_image_without_settings_has_dockers_defaults() -> None:
    spec = LaunchSpec()
    assert (spec.platform, spec.working_dir, spec.user, spec.home) == ("linux/amd64", "/", "", "/root")


def test_facts_cannot_be_changed_and_those_of_later_versions_are_ignored() -> None:
    spec = LaunchSpec.model_validate({"reference": "a:b", "of_a_later_version": 1})
    assert spec == LaunchSpec(reference="a:b")
    with pytest.raises(ValidationError, match="frozen"):
        spec.user = "root"
