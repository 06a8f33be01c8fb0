"""The base images of a Dockerfile."""

from __future__ import annotations

import pytest

from chutes_wrappers.emulator.buildah_builder import find_base_images


@pytest.mark.parametrize(
    ("dockerfile", "bases"),
    [
        ("FROM vendor/app:1\nRUN true", ["vendor/app:1"]),
        ("# FROM no\n  from --platform=linux/amd64 app\n", ["app"]),
        ("FROM one AS Build\nFROM two\nCOPY --from=build /a /a\nFROM build", ["one", "two"]),
        ("FROM scratch\nADD a /a", []),
        ("FROM host:5000/app@sha256:abc as x", ["host:5000/app@sha256:abc"]),
    ],
)
def test_earlier_stages_and_scratch_are_not_base_images(dockerfile: str, bases: list[str]) -> None:
    assert list(find_base_images(dockerfile)) == bases
