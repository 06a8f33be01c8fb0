"""A client of the API that signs requests as the SDK does, with the SDK's own signing message."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import requests
from chutes.constants import HOTKEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER, USER_ID_HEADER
from chutes.util.auth import get_signing_message

from chutes_wrappers.core.platform_checks import compute_chute_id
from chutes_wrappers.emulator import accounts
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.emulator.tokens import TOKEN

CODE = """
from chutes.chute import Chute, NodeSelector

chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=4,
)


@chute.cord(path="/greet", public_api_path="/greet", public_api_method="POST", method="POST")
async def greet(self, call: dict) -> dict:
    print("greeting", flush=True)
    return {"hello": call["name"]}
"""
CORD = {
    "method": "POST",
    "path": "/greet",
    "public_api_path": "/greet",
    "public_api_method": "POST",
    "stream": False,
    "function": "greet",
    "input_schema": {"type": "object"},
    "output_schema": None,
    "output_content_type": "application/json",
    "minimal_input_schema": None,
    "passthrough": False,
}


def make_definition(**overrides: Any) -> dict[str, Any]:
    """Return the body of a deployment as ``chutes deploy`` sends it, with ``overrides``."""
    defaults: dict[str, Any] = {
        "name": "case",
        "tagline": "",
        "readme": "",
        "logo_id": None,
        "image": "case:v1",
        "public": False,
        "standard_template": None,
        "node_selector": {"gpu_count": 1, "min_vram_gb_per_gpu": 16, "include": ["pro_6000"]},
        "filename": "deploy_case.py",
        "ref_str": "deploy_case:chute",
        "code": CODE,
        "concurrency": 4,
        "max_instances": 1,
        "scaling_threshold": 0.75,
        "shutdown_after_seconds": 300,
        "allow_external_egress": False,
        "encrypted_fs": False,
        "tee": True,
        "lock_modules": None,
        "revision": None,
        "cords": [CORD],
        "jobs": [],
    }
    return {**defaults, **overrides}


def make_zip(**files: str) -> bytes:
    """Return a zip of files, as the SDK creates it from the build context."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Client:
    """Calls the API at ``url`` as ``account``."""

    def __init__(self, url: str, account: accounts.Account) -> None:
        self.url = url
        self.account = account

    @classmethod
    def register(cls, url: str, username: str) -> Client:
        """Register a new user, and return their client."""
        return cls(url, accounts.register(url, username, TOKEN))

    def headers(self, body: bytes | None = None, purpose: str | None = None) -> dict[str, str]:
        """Return the headers that authenticate a request."""
        key = keypair_from_seed(self.account.seed)
        nonce = str(int(time.time()))
        message = get_signing_message(key.ss58_address, nonce, payload_str=body, purpose=purpose)
        return {
            USER_ID_HEADER: self.account.user_id,
            HOTKEY_HEADER: key.ss58_address,
            NONCE_HEADER: nonce,
            SIGNATURE_HEADER: key.sign(message.encode()).hex(),
        }

    def get(self, path: str, purpose: str | None = None, **params: Any) -> requests.Response:
        """Send a signed GET. ``purpose`` defaults to the first part of the path."""
        return requests.get(
            f"{self.url}{path}", headers=self.headers(purpose=purpose or path.split("/")[1]), params=params, timeout=120
        )

    def delete(self, path: str) -> requests.Response:
        """Send a signed DELETE."""
        return requests.delete(f"{self.url}{path}", headers=self.headers(purpose=path.split("/")[1]), timeout=60)

    def delete_chute(self, name: str) -> requests.Response:
        """Delete an own chute by the id that belongs to its name."""
        return self.delete(f"/chutes/{compute_chute_id(self.account.username, name)}")

    def post(self, path: str, value: Any, **params: Any) -> requests.Response:
        """Send a signed POST of JSON."""
        return self._send("POST", path, value, params)

    def put(self, path: str, value: Any) -> requests.Response:
        """Send a signed PUT of JSON."""
        return self._send("PUT", path, value, {})

    def _send(self, method: str, path: str, value: Any, params: Mapping[str, Any]) -> requests.Response:
        body = json.dumps(value).encode()
        headers = {**self.headers(body), "Content-Type": "application/json"}
        return requests.request(method, f"{self.url}{path}", data=body, headers=headers, params=params, timeout=60)

    def upload(
        self,
        path: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        **files: tuple[str, bytes, str],
    ) -> requests.Response:
        """Send a signed POST of a multipart form."""
        request = requests.Request("POST", f"{self.url}{path}", data=dict(fields), files=files).prepare()
        assert isinstance(request.body, bytes)
        request.headers.update({**self.headers(request.body), **(headers or {})})
        with requests.Session() as session:
            return session.send(request, timeout=60)

    def build(
        self,
        name: str = "case",
        tag: str = "v1",
        context: bytes | None = None,
        sdk_version: str = "0.6.9",
        **fields: str,
    ) -> requests.Response:
        """Submit an image with the SDK of that version."""
        form_fields = {
            "username": self.account.username,
            "name": name,
            "tag": tag,
            "readme": "",
            "dockerfile": "FROM scratch",
            **fields,
        }
        archive = make_zip(**{"data.txt": "data"}) if context is None else context
        files = {"build_context": ("chute.zip", archive, "application/zip")}
        return self.upload("/images/", form_fields, {"X-Chutes-Version": sdk_version}, **files)

    def build_and_wait(self, name: str = "case", tag: str = "v1", **fields: str) -> dict[str, Any]:
        """Submit an image, and wait until it is built."""
        response = self.build(name, tag, None, **fields)
        assert response.status_code == 202, response.text
        # The events end with DONE, which a platform with staleness follows by dots for ever. A finished build has plain text.
        url = f"{self.url}/images/{response.json()['image_id']}/logs"
        with requests.get(url, headers=self.headers(purpose="images"), stream=True, timeout=60) as logs:
            assert logs.status_code == 200
            next((line for line in logs.iter_lines() if line == b"DONE"), None)
        image: dict[str, Any] = self.get(f"/images/{name}:{tag}").json()
        return image

    def deploy(self, *, accept_fee: bool = True, **overrides: Any) -> requests.Response:
        """Deploy a chute."""
        return self.post("/chutes/", make_definition(**overrides), accept_fee=str(accept_fee).lower())

    def create_key(self, **overrides: Any) -> dict[str, Any]:
        """Create an API key, and return the API's response."""
        response = self.post("/api_keys/", {"name": "key", "admin": False, **overrides})
        assert response.status_code == 200, response.text
        key: dict[str, Any] = response.json()
        return key


def make_bearer_header(secret: str) -> dict[str, str]:
    """Return the header with an API key."""
    return {"Authorization": f"Bearer {secret}"}
