from __future__ import annotations

import pytest

from chutes_wrappers.core.drift import find_differences, is_only_hidden
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route, SkippedRoute


def manifest(*routes: Route, **facts: object) -> Manifest:
    return Manifest(routes=routes, image=LaunchSpec.model_validate(facts))


A = Route(path="/a", method="POST", port=9000, target_path="/a")
B = Route(path="/b", method="GET", port=9000, target_path="/b")
HIDDEN = SkippedRoute(path="/b", method="GET", port=9000, reason="internal")


def test_the_same_service_in_another_order_and_with_other_writes_is_no_drift() -> None:
    assert find_differences(manifest(A, B, writes=("/data",)), manifest(B, A)) == ()


def test_new_gone_and_changed_routes_are_named() -> None:
    changed = A.model_copy(update={"target_path": "/v2/a"})
    assert find_differences(manifest(A), manifest(changed, B)) == (
        "changed: POST /a (port 9000): target_path",
        "new: GET /b (port 9000)",
    )
    assert find_differences(manifest(A, B), manifest(A)) == ("gone: GET /b (port 9000)",)


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("entrypoint", ("/serve",)),
        ("cmd", ("--fast",)),
        ("working_dir", "/srv"),
        ("user", "1001"),
        ("exposed_ports", (9000,)),
    ],
)
def test_an_image_that_runs_otherwise_is_drift(fact: str, value: object) -> None:
    assert find_differences(manifest(), manifest(**{fact: value})) == (f"changed: the image's {fact}",)


def test_without_an_image_on_either_side_the_image_is_not_compared() -> None:
    for known, result in ((manifest(user="x"), Manifest()), (Manifest(), manifest(user="x"))):
        assert find_differences(known, result) == ()


def test_the_same_image_from_a_registry_is_no_drift() -> None:
    assert find_differences(manifest(A, digest="sha256:id"), manifest(A, digest="sha256:registrys")) == ()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (manifest(A), False),
        (manifest(A).model_copy(update={"skipped": (HIDDEN,)}), True),
        (manifest(A, B).model_copy(update={"skipped": (HIDDEN,)}), False),
        (manifest().model_copy(update={"skipped": (HIDDEN,)}), False),
    ],
)
def test_routes_hidden_by_another_expose_are_distinguished_from_removed_routes(
    result: Manifest, expected: bool
) -> None:
    assert is_only_hidden(manifest(A, B), result) is expected
