from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from chutes_wrappers.core import layout
from chutes_wrappers.core.errors import ImageMissing, WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.image_freshness import check_image_freshness
from chutes_wrappers.host.modules.module_facts import ModuleFacts

BUILD = "./deploy.sh --build deploy_case --local"
MANIFEST = Manifest(routes=(Route(path="/a", port=8020, target_path="/a"),))


@dataclass
class Files:
    content: Mapping[str, str]

    def exists(self, path: str) -> bool:
        return path in self.content

    def read(self, path: str) -> bytes | None:
        return self.content[path].encode() if path in self.content else None


@dataclass
class Engine:
    """Has one image with these files; None: has no image."""

    content: Mapping[str, str] | None

    @contextlib.contextmanager
    def open_files(self, reference: str) -> Iterator[Files]:
        if self.content is None:
            raise ImageMissing("the Docker engine has no such image", where=reference)
        yield Files(self.content)


@pytest.fixture
def facts(tmp_path: Path) -> ModuleFacts:
    path = tmp_path / "deploy_case.py"
    path.write_text("on disk")
    return ModuleFacts(path=path, chute_name="n", chute_tag="t1", base_image="b", service_ports=(8020,))


def find_problem(facts: ModuleFacts, content: Mapping[str, str] | None) -> str:
    with pytest.raises(WrapperError) as caught:
        check_image_freshness(Engine(content), "case:v1", facts, MANIFEST, build=BUILD)
    assert BUILD in str(caught.value)
    return str(caught.value)


def test_an_image_of_this_module_and_manifest_is_current(facts: ModuleFacts) -> None:
    written = MANIFEST.model_copy(update={"image": LaunchSpec(reference="b")}).to_json()
    check_image_freshness(
        Engine({"/app/deploy_case.py": "on disk", layout.BAKED_MANIFEST: written}),
        "case:v1",
        facts,
        MANIFEST,
        build=BUILD,
    )


def test_a_stale_module_or_manifest_is_named_with_the_command(facts: ModuleFacts) -> None:
    other = Manifest(routes=(Route(path="/a", port=8020, target_path="/b"),)).to_json()
    message = find_problem(facts, {"/app/deploy_case.py": "before", layout.BAKED_MANIFEST: MANIFEST.to_json()})
    assert "another version of deploy_case.py\n" in message
    message = find_problem(facts, {"/app/deploy_case.py": "on disk", layout.BAKED_MANIFEST: other})
    assert "another version of the route manifest\n" in message
    assert "deploy_case.py and the route manifest" in find_problem(facts, {})


def test_a_missing_image_suggests_the_build_command(facts: ModuleFacts) -> None:
    assert "case:v1: the image is not built yet" in find_problem(facts, None)
