"""Whether a deployed chute is the module on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.deployed_module import check_is_deployed
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from chutes_wrappers.host.parity.response_record import CordRecord
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.objects import parse_chute

SOURCE = 'CHUTE_NAME = "case"\nCHUTE_TAG = "v1"\nCHUTE_BASE_IMAGE = "x:1"\nSERVICE_PORTS = [9000]\n'
CORD = {"path": "/cw_post/a", "public_api_path": "/a", "public_api_method": "POST", "stream": False}
IMAGE = {"image_id": "i", "name": "case", "tag": "v1"}
RECORD: Mapping[str, Any] = {"chute_id": "c", "name": "case", "image": IMAGE, "cords": [CORD], "code": SOURCE}


class Api:
    """An API that knows the source of the chute, or no such path."""

    username = "tester"

    def __init__(self, source: str | None = None) -> None:
        self._source = source

    def get_text(self, path: str, what: str, *, purpose: str) -> str:
        assert path == "/chutes/code/c"
        if self._source is None:
            raise PlatformRequestFailed("not found", status=404, where="", evidence="", next_step="")
        return self._source


@pytest.fixture
def facts(tmp_path: Path) -> ModuleFacts:
    module = tmp_path / "deploy_case.py"
    module.write_text(SOURCE)
    return read_module(module)


def find_difference(facts: ModuleFacts, record: Mapping[str, Any], source: str | None = None) -> str:
    api = cast(PlatformApi, Api(source))
    try:
        check_is_deployed(api, parse_chute(record), facts, Manifest(), [CordRecord.model_validate(CORD)])
    except WrapperError as error:
        return str(error.evidence) if "--deploy" in str(error.next_step) else "no next step"
    return ""


@pytest.mark.parametrize(
    ("changes", "source", "difference"),
    [
        ({}, None, ""),
        ({"code": None}, None, ""),
        ({"code": None}, SOURCE.replace("\n", "\r\n"), ""),
        ({"image": None}, None, ""),
        ({"image": {**IMAGE, "tag": "V1"}}, None, ""),
        ({"image": {**IMAGE, "tag": "v0"}}, None, "its image is case:v0, and the module's is case:v1"),
        ({"code": SOURCE + "x = 1\n"}, None, "its source is not that of deploy_case.py"),
        ({"code": None}, "x = 1\n", "its source is not that of deploy_case.py"),
        ({"cords": []}, None, "its cords differ at /a"),
        ({"cords": [{**CORD, "public_api_method": "GET"}]}, None, "its cords differ at /a"),
        ({"cords": [CORD, {**CORD, "path": "/b", "public_api_path": "/b"}]}, None, "its cords differ at /b"),
        ({"cords": [{name: CORD[name] for name in ("path", "public_api_path")}]}, None, ""),
    ],
)
def test_what_the_api_returns_is_compared(
    facts: ModuleFacts, changes: dict[str, Any], source: str | None, difference: str
) -> None:
    assert find_difference(facts, {**RECORD, **changes}, source) == difference


def test_an_image_with_another_manifest_is_another_version(facts: ModuleFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_records, "is_stale", lambda image_id, stage: image_id == "i")
    assert "was built with another manifest" in find_difference(facts, RECORD)
