"""The repository and tag that a reference pulls."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.container_engine import docker_pull


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("debian", ("debian", "latest")),
        ("debian:12", ("debian", "12")),
        ("localhost:5000/team/service", ("localhost:5000/team/service", "latest")),
        ("localhost:5000/team/service:v1", ("localhost:5000/team/service", "v1")),
        ("team/service@sha256:ab", ("team/service", "sha256:ab")),
        ("localhost:5000/service:v1@sha256:ab", ("localhost:5000/service", "sha256:ab")),
    ],
)
def test_references_have_tags_digests_and_registries_with_ports(reference: str, parts: tuple[str, str]) -> None:
    assert docker_pull._split_reference(reference) == parts
