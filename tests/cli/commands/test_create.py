"""What ``--create`` writes, and when it writes nothing; the images are those of a fake engine, or there are none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands import create as command
from chutes_wrappers.cli.commands.create import CreateOptions, create
from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, UnsupportedImage, WrapperError
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, probe
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from tests.hostile_text import ATTACK, FORGED
from tests.upstreams.recording import RecordedReply, RecordedRequest, Recorder, serve_recorder

IMAGE = "vendor/ocr:1"
FILES = {
    "/bin/sh": b"",
    "/usr/bin/apt-get": b"",
    "/usr/lib/x86_64-linux-gnu/libc.so.6": b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n",
}
ALPINE = {"/bin/sh": b"", "/lib/ld-musl-x86_64.so.1": b""}
OLD = {"deploy_ocr.py": "old module", "deploy_ocr.routes.json": "old manifest"}


class Engine:
    """An engine with one image or none."""

    def __init__(self, files: Mapping[str, bytes] = FILES, **attributes: Any) -> None:
        self._files = files
        config = {"Cmd": ["serve"], "ExposedPorts": {"9000/tcp": {}}, **attributes}
        self.image: dict[str, Any] = {"Id": "sha256:ab12", "Os": "linux", "Architecture": "amd64", "Config": config}

    def find_image(self, reference: str) -> Mapping[str, Any] | None:
        return self.image or None

    def inspect_image(self, reference: str) -> Mapping[str, Any]:
        if not self.image:
            raise WrapperError("cannot be pulled", next_step="correct the name")
        return self.image

    @contextlib.contextmanager
    def open_files(self, reference: str) -> Iterator[Engine]:
        yield self

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def exists(self, path: str) -> bool:
        return path in self._files

    def run(self, spec: ContainerSpec) -> Any:
        raise WrapperError("nothing runs here")

    def close(self) -> None:
        pass


Discovery = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_format_costs", lambda: "")
    return tmp_path


def patch_engine(
    monkeypatch: pytest.MonkeyPatch, engine: Engine | None, discovery: Discovery = lambda *_: None
) -> None:
    def connect(*_: Any) -> Engine:
        if engine is None:
            raise EngineUnavailable("no Docker engine is reachable")
        return engine

    monkeypatch.setattr(command, "connect", connect)
    monkeypatch.setattr(command, "discover_with_defaults", discovery)


def write_old(folder: Path) -> None:
    for name, text in OLD.items():
        (folder / name).write_text(text)


def read_folder(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("discovers", [True, False])
def test_no_file_changes_for_an_unsupported_image(
    discovers: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_engine(monkeypatch, Engine(ALPINE))
    with pytest.raises(UnsupportedImage, match="musl"):
        create(IMAGE, CreateOptions(discover=discovers))
    assert read_folder(folder) == {}
    write_old(folder)
    with pytest.raises(UnsupportedImage, match="musl"):
        create(IMAGE, CreateOptions(discover=discovers, force=True))
    assert read_folder(folder) == OLD


def test_a_module_that_is_replaced_takes_its_old_manifest_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_engine(monkeypatch, Engine())
    write_old(folder)
    assert create(IMAGE, CreateOptions(force=True, discover=False)) == 0
    assert list(read_folder(folder)) == ["deploy_ocr.py"]
    assert "SERVICE_PORTS = [9000]" in read_folder(folder)["deploy_ocr.py"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), WrapperError("it exited")])
def test_an_interrupted_discovery_keeps_the_module_and_names_the_next_command(
    failure: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def discovery(*_: Any) -> None:
        raise failure

    patch_engine(monkeypatch, Engine(), discovery)
    with pytest.raises(type(failure)):
        create(IMAGE, CreateOptions())
    assert list(read_folder(folder)) == ["deploy_ocr.py"]
    assert "./deploy.sh --discover deploy_ocr" in capsys.readouterr().err + str(getattr(failure, "next_step", ""))


def test_an_image_that_cannot_be_pulled_leaves_no_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    engine.image = {}
    patch_engine(monkeypatch, engine)
    with pytest.raises(WrapperError, match="cannot be pulled"):
        create("127.0.0.1:9/vendor/ocr:1", CreateOptions())
    assert read_folder(folder) == {}


@pytest.mark.parametrize("name", OLD)
def test_existing_files_and_broken_links_are_not_replaced(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_engine(monkeypatch, Engine())
    (folder / name).symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="already exist"):
        create(IMAGE, CreateOptions())
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize("name", OLD)
def test_an_existing_folder_is_reported_before_anything_is_written(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_engine(monkeypatch, Engine())
    (folder / name).mkdir()
    with pytest.raises(ConfigurationError, match="folder"):
        create(IMAGE, CreateOptions(force=True))
    assert [path.name for path in folder.iterdir()] == [name]


def test_an_image_id_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_engine(monkeypatch, Engine())
    with pytest.raises(ConfigurationError, match="docker tag ab1"):
        create("ab1", CreateOptions())


@pytest.mark.parametrize(
    "declared",
    [
        {"User": ATTACK},
        {"Cmd": [ATTACK], "Entrypoint": [ATTACK]},
        {"Volumes": {f"/{ATTACK}": {}}},
        {"Env": [f"A={ATTACK}", f"{ATTACK}=1"]},
        {"WorkingDir": f"/{ATTACK}"},
        {"ExposedPorts": {f"9000/{ATTACK}": {}, ATTACK: {}}},
        {"Labels": {"org.opencontainers.image.title": ATTACK, "org.opencontainers.image.version": ATTACK}},
        {"Healthcheck": {"Test": ["CMD", ATTACK]}},
    ],
    ids=lambda declared: next(iter(declared)),
)
def test_what_an_image_declares_is_shown_without_control_characters(
    declared: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch_engine(monkeypatch, Engine(**declared))
    output.run(lambda: create(IMAGE, CreateOptions(discover=False)))
    shown = capsys.readouterr().err
    assert shown.replace("\n", "").isprintable()
    assert not [line for line in shown.splitlines() if line.startswith(FORGED)]


def test_labels_of_an_image_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {"org.opencontainers.image.title": "OCR", "org.opencontainers.image.version": "1.2"}
    patch_engine(monkeypatch, Engine(User="\x1b[2Jme", Labels=labels, Healthcheck={"Test": ["NONE"]}))
    create(IMAGE, CreateOptions(discover=False))
    output_text = capsys.readouterr().err
    assert r"\x1b[2Jme" in output_text
    assert "OCR 1.2" in output_text
    assert "health check  none" in output_text


SITE = "/usr/lib/python3.11/site-packages"
CUDA = {**FILES, "/usr/bin/python3": b"", SITE: b"", f"{SITE}/nvidia/cublas/lib": b""}


def test_the_option_for_libraries_of_cuda_is_set_where_packages_bring_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_engine(monkeypatch, Engine(CUDA))
    create(IMAGE, CreateOptions())
    assert "CHUTE_BASE_IMAGE, cuda_libraries=True)" in read_folder(folder)["deploy_ocr.py"]
    patch_engine(monkeypatch, Engine())
    create(IMAGE, CreateOptions(force=True))
    assert "CHUTE_BASE_IMAGE)" in read_folder(folder)["deploy_ocr.py"]


@pytest.mark.parametrize(("discovers", "warnings"), [(False, 1), (True, 0)])
def test_an_old_cuda_is_named_once_by_the_module_or_by_its_discovery(
    discovers: bool, warnings: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch_engine(monkeypatch, Engine(Env=["CUDA_VERSION=12.4.1"]))
    create(IMAGE, CreateOptions(discover=discovers))
    assert capsys.readouterr().err.count("the image has CUDA 12.4 (CUDA_VERSION)") == warnings


def test_labels_of_an_image_that_only_its_registry_has_are_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch_engine(monkeypatch, None)
    facts = ImageFacts(cmd=("serve",), exposed=("9000/tcp",), labels={"cuda.version": "12.4"})
    monkeypatch.setattr(command, "fetch_image_facts", lambda reference: facts)
    create(IMAGE, CreateOptions())
    assert "the platform's GPU, pro_6000 (Blackwell), needs 12.8" in " ".join(capsys.readouterr().err.split())


DOCUMENT = {
    "openapi": "3.1.0",
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
    "security": [{"key": []}],
    "paths": {"/models": {"get": {}}, "/say": {"post": {}}},
}


def serve_secured(document_status: int, route_status: int) -> contextlib.AbstractContextManager[Recorder]:
    def reply(request: RecordedRequest) -> RecordedReply:
        if request.target == "/openapi.json" and document_status == 200:
            return RecordedReply(body=json.dumps(DOCUMENT).encode())
        is_document = request.target == "/openapi.json"
        return RecordedReply(status=document_status if is_document else route_status)

    return serve_recorder(reply)


def discover_at(port: int) -> Discovery:
    def discovery(facts: ModuleFacts, engine: Engine, observe: Any) -> None:
        service = Service(port=9000, root=f"http://127.0.0.1:{port}", headers=facts.headers)
        findings = asyncio.run(probe([service], bounds=Bounds(timeout_s=60, settle_s=0.01), report=lambda line: None))
        observe(findings)
        if not findings[0].operations.routes:
            raise WrapperError("nothing to publish", next_step="correct it")

    return discovery


@pytest.mark.parametrize("route_status", [401, 403])
def test_the_header_that_a_service_wants_is_written_with_what_to_do(
    route_status: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_secured(200, route_status) as service:
        patch_engine(monkeypatch, Engine(), discover_at(service.port))
        assert create(IMAGE, CreateOptions()) == 0
    source = (folder / "deploy_ocr.py").read_text()
    assert "SERVICE_PORTS = [9000]\n# GET " in source
    assert f"returned {route_status}" in source
    assert '\nCHUTE_HEADERS = {"X-API-Key": "${SERVICE_KEY}"}\n' in source
    assert "./deploy.sh --secret ocr SERVICE_KEY" in source
    assert read_module(folder / "deploy_ocr.py").headers.variables == ("SERVICE_KEY",)
    assert "export SERVICE_KEY" in capsys.readouterr().err


def test_credentials_that_are_only_declared_are_a_comment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_secured(200, 404) as service:
        patch_engine(monkeypatch, Engine(), discover_at(service.port))
        assert create(IMAGE, CreateOptions()) == 0
    assert '\n# CHUTE_HEADERS = {"X-API-Key": "${SERVICE_KEY}"}\n' in (folder / "deploy_ocr.py").read_text()
    assert not read_module(folder / "deploy_ocr.py").headers


def test_a_service_that_refuses_even_its_document_names_the_next_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_secured(401, 401) as service:
        patch_engine(monkeypatch, Engine(), discover_at(service.port))
        with pytest.raises(WrapperError, match="nothing to publish"):
            create(IMAGE, CreateOptions())
    output_text = capsys.readouterr().err
    assert "the service wants credentials" in output_text
    assert "documentation names the header" in output_text
