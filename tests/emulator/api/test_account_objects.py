"""API keys, secrets, logos and prices."""

from __future__ import annotations

import pytest
import requests

from chutes_wrappers.core import overruled_rules
from chutes_wrappers.emulator.server import RunningPlatform

from .client import Client, make_bearer_header, make_definition


def send_request(url: str, secret: str, method: str = "GET", scheme: str = "Bearer") -> int:
    return requests.request(method, url, headers={"Authorization": f"{scheme} {secret}"}, timeout=60).status_code


def test_an_admin_key_has_all_permissions_of_its_user(user: Client) -> None:
    user.build_and_wait()
    secret = user.create_key(admin=True)["secret_key"]
    for path in ("/users/me", "/images/", "/images/case:v1", "/chutes/", "/secrets/", "/api_keys/"):
        assert send_request(f"{user.url}{path}", secret) == 200, path
    assert send_request(f"{user.url}/users/me", secret, scheme="Basic") == 200
    assert send_request(f"{user.url}/images/case:v1", secret, "DELETE") == 200


REQUESTS = [
    *[("GET", path) for path in ("/users/me", "/images/", "/images/case:v1", "/images/case:v1/logs", "/chutes/")],
    *[("GET", path) for path in ("/chutes/case", "/chutes/nope", "/chutes/warmup/case", "/api_keys/", "/secrets/")],
    *[("GET", path) for path in ("/api_keys/x", "/secrets/x", "/instances/x", "/instances/x/logs")],
    *[("POST", path) for path in ("/images/", "/chutes/", "/chutes/share", "/api_keys/", "/secrets/", "/logos/")],
    *[("DELETE", path) for path in ("/images/case:v1", "/chutes/case", "/chutes/nope", "/api_keys/x", "/secrets/x")],
]


@pytest.mark.parametrize("action", ["invoke", "read"])
def test_a_key_that_is_not_an_admin_key_is_refused_by_every_route(user: Client, action: str) -> None:
    user.build_and_wait()
    user.deploy()
    scopes = [{"object_type": kind, "action": action} for kind in ("chutes", "images", "invocations")]
    secret = user.create_key(name="limited", scopes=scopes)["secret_key"]
    for method, path in REQUESTS:
        headers = {**make_bearer_header(secret), "Content-Type": "application/json"}
        body = {"name": "more", "admin": True} if path == "/api_keys/" else make_definition()
        response = requests.request(
            method, f"{user.url}{path}", headers=headers, json=body if method == "POST" else None, timeout=60
        )
        if response.status_code != 422:  # the shape of a request is checked before its caller
            assert (response.status_code, response.json()["detail"]) == (401, "Invalid token or user not found"), path
    assert user.get("/api_keys/").json()["total"] == 1
    assert user.get("/chutes/case").status_code == 200


def test_a_key_deletes_what_its_scope_names(user: Client) -> None:
    user.build_and_wait()
    other = user.build_and_wait(tag="v2")
    scopes = [{"object_type": "images", "object_id": other["image_id"], "action": None}]
    secret = user.create_key(name="one", scopes=scopes)["secret_key"]
    assert send_request(f"{user.url}/images/case:v2", secret) == 401
    assert send_request(f"{user.url}/images/case:v1", secret, "DELETE") == 401
    assert send_request(f"{user.url}/images/case:v2", secret, "DELETE") == 200


def test_a_keys_secret_is_returned_once_and_not_stored(platform: RunningPlatform, user: Client) -> None:
    made = user.create_key(admin=True)
    assert made["secret_key"].startswith("cpk_")
    listed = user.get("/api_keys/").json()
    assert [(one["name"], one["admin"], one["scopes"]) for one in listed["items"]] == [("key", True, [])]
    assert made["secret_key"] not in user.get("/api_keys/").text + user.get(f"/api_keys/{made['api_key_id']}").text
    assert str(platform.state.api_keys.find_by_secret(made["secret_key"])).count(made["secret_key"]) == 0


def test_a_deleted_key_is_rejected(user: Client) -> None:
    made = user.create_key(admin=True)
    assert user.delete("/api_keys/key").json() == {"api_key_id": made["api_key_id"], "deleted": True}
    assert send_request(f"{user.url}/users/me", made["secret_key"]) == 401
    assert user.delete("/api_keys/key").status_code == 404


def test_invalid_keys_are_rejected(user: Client) -> None:
    user.create_key()
    for status, field, value in (
        (409, "name", "key"),
        (400, "name", ""),
        (400, "name", "-key"),
        (400, "name", "k" * 30),
        (400, "name", "a b"),
        (400, "scopes", [{"object_type": "secrets", "action": "read"}]),
        (422, "scopes", [{"object_type": "images", "action": "paint"}]),
    ):
        response = user.post("/api_keys/", {"name": "wrong", "admin": False, field: value})
        assert response.status_code == status, (field, value)
    assert user.post("/api_keys/", {"name": "wrong"}).json()["detail"][0]["loc"] == ["body", "admin"]
    assert [key["name"] for key in user.get("/api_keys/").json()["items"]] == ["key"]


def test_a_keys_payload_shows_its_scopes_and_its_last_use(user: Client) -> None:
    made = user.create_key(scopes=[{"object_type": "chutes", "action": "invoke"}])
    (scope,) = made["scopes"]
    assert (scope["object_type"], scope["method"], scope["object_id"]) == ("chutes", "invoke", None)
    assert made["last_used_at"] is None
    assert send_request(f"{user.url}/users/me", made["secret_key"]) == 401
    assert user.get(f"/api_keys/{made['api_key_id']}").json()["last_used_at"] is not None
    assert user.get(f"/api_keys/{made['name']}").status_code == 404


def test_keys_of_another_user_are_not_found(user: Client) -> None:
    other = Client.register(user.url, "second")
    made = other.create_key(admin=True)
    assert user.delete(f"/api_keys/{made['api_key_id']}").status_code == 404
    assert user.get("/api_keys/").json()["total"] == 0


def test_a_secrets_value_is_never_returned(user: Client) -> None:
    user.build_and_wait()
    user.deploy()
    made = user.post("/secrets/", {"purpose": "case", "key": "TOKEN", "value": "hunter2"})
    assert made.status_code == 200
    secret_id = made.json()["secret_id"]
    text = made.text + user.get("/secrets/").text + user.get(f"/secrets/{secret_id}").text
    assert "TOKEN" in text
    assert "hunter2" not in text
    assert user.post("/secrets/", {"purpose": "CASE", "key": "TOKEN", "value": "x"}).status_code == 409
    assert user.delete(f"/secrets/{secret_id}").json() == {"secret_id": secret_id, "status": "deleted"}
    assert user.get(f"/secrets/{secret_id}").status_code == 404


def test_a_banned_name_of_a_secret(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    user.build_and_wait()
    user.deploy()

    def store(key: str) -> requests.Response:
        return user.post("/secrets/", {"purpose": "case", "key": key, "value": "x"})

    banned = ("MY_PYTHON_PATH", "SGLANG_X", "sgl_x", "LD_PRELOAD", "https_proxy")
    for key in banned:
        assert (store(key).status_code, store(key).json()) == (403, {"detail": f"Banned secret key: {key}"})
    for key in ("PYTHONPATH", "HF_TOKEN", "SGL", "MY_LD_X"):
        assert store(key).status_code == 200, key
    monkeypatch.setenv(overruled_rules.VARIABLE, "secret-name")
    assert [store(key).status_code for key in banned] == [200] * len(banned)


def test_a_secret_needs_a_deployed_chute_unless_that_is_overruled(
    user: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"purpose": "later", "key": "TOKEN", "value": "x"}
    assert user.post("/secrets/", body).status_code == 404
    monkeypatch.setenv(overruled_rules.VARIABLE, "secret-chute")
    assert user.post("/secrets/", body).json()["purpose"] == "later"


def test_a_secret_needs_every_field(user: Client) -> None:
    body = {"purpose": "case", "key": "TOKEN", "value": "hunter2"}
    for missing in body:
        response = user.post("/secrets/", {name: value for name, value in body.items() if name != missing})
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", missing]


def test_a_logo_is_shown_as_it_was_uploaded(user: Client) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    made = user.upload("/logos/", {}, logo=("logo.png", png, "image/png"))
    assert made.status_code == 200
    logo = requests.get(f"{user.url}/logos/{made.json()['logo_id']}.png", timeout=60)
    assert (logo.content, logo.headers["content-type"]) == (png, "image/png")
    assert requests.get(f"{user.url}/logos/other", timeout=60).status_code == 404


def test_a_file_that_is_not_an_image_is_rejected(user: Client) -> None:
    assert user.upload("/logos/", {}, logo=("a.txt", b"text", "text/plain")).status_code == 400
    assert user.upload("/logos/", {}, logo=("a.png", b"", "image/png")).status_code == 400
    assert user.upload("/logos/", {}, logo=("a.svg", b"<svg/>", "image/svg+xml")).status_code == 400
    assert user.upload("/logos/", {}, other=("a.png", b"x", "image/png")).status_code == 400


def test_prices_need_no_account(platform: RunningPlatform) -> None:
    prices = requests.get(f"{platform.url}/pricing", timeout=60).json()["gpu_price_estimates"]
    assert all(gpu["usd"]["hour"] > 0 for gpu in prices.values())
    assert prices["pro_6000"]["usd"]["hour"] == 1.8
    assert (
        requests.get(f"{platform.url}/users/me", headers=make_bearer_header("cpk_wrong"), timeout=60).status_code == 401
    )
