from __future__ import annotations

from chutes_wrappers.core.drift import differences
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route


def manifest(*routes: Route, **facts: object) -> Manifest:
    return Manifest(routes=routes, image=LaunchSpec.model_validate(facts))


A = Route(path="/a", method="POST", port=9000, target_path="/a")
B = Route(path="/b", method="GET", port=9000, target_path="/b")


def test_the_same_service_in_another_order_and_with_other_writes_is_no_drift() -> None:
    assert differences(manifest(A, B, writes=("/data",)), manifest(B, A)) == ()


def test_new_gone_and_changed_routes_are_named() -> None:
    changed = A.model_copy(update={"target_path": "/v2/a"})
    assert differences(manifest(A), manifest(changed, B)) == (
        "changed: POST /a (port 9000): target_path",
        "new: GET /b (port 9000)",
    )
    assert differences(manifest(A, B), manifest(A)) == ("gone: GET /b (port 9000)",)


def test_another_image_is_drift() -> None:
    assert differences(manifest(digest="a", user="x"), manifest(digest="b", user="x")) == (
        "changed: the image's digest",
    )
