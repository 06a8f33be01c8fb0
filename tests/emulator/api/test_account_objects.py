"""API keys, secrets, logos and prices."""

from __future__ import annotations

import pytest
import requests

from chutes_wrappers.emulator.server import RunningPlatform

from .client import Client, make_bearer_header


def send_request(url: str, secret: str, method: str = "GET", scheme: str = "Bearer") -> int:
    return requests.request(method, url, headers={"Authorization": f"{scheme} {secret}"}, timeout=60).status_code


def test_an_admin_key_has_all_permissions_of_its_user(user: Client) -> None:
    user.build_and_wait()
    secret = user.create_key(admin=True)["secret_key"]
    for path in ("/users/me", "/images/", "/images/case:v1", "/chutes/", "/secrets/", "/api_keys/"):
        assert send_request(f"{user.url}{path}", secret) == 200, path
    assert send_request(f"{user.url}/users/me", secret, scheme="Basic") == 200
    assert send_request(f"{user.url}/images/case:v1", secret, "DELETE") == 200


def test_a_key_is_limited_to_its_scopes(user: Client) -> None:
    user.build_and_wait()
    other = user.build_and_wait(tag="v2")
    user.deploy()
    reader = user.create_key(name="reader", scopes=[{"object_type": "images", "action": "read"}])["secret_key"]
    assert send_request(f"{user.url}/images/", reader) == send_request(f"{user.url}/images/case:v1", reader) == 200
    assert send_request(f"{user.url}/images/case:v2", reader, "DELETE") == 403
    assert send_request(f"{user.url}/chutes/", reader) == send_request(f"{user.url}/api_keys/", reader) == 403
    one = user.create_key(
        name="one", scopes=[{"object_type": "images", "object_id": other["image_id"], "action": None}]
    )
    assert send_request(f"{user.url}/images/case:v2", one["secret_key"]) == 200
    assert send_request(f"{user.url}/images/case:v1", one["secret_key"]) == 403
    assert send_request(f"{user.url}/images/", one["secret_key"]) == 403
    assert send_request(f"{user.url}/images/case:v2", one["secret_key"], "DELETE") == 200
    assert send_request(f"{user.url}/users/me", one["secret_key"]) == 200


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
    assert user.post("/api_keys/", {"name": "key"}).status_code == 409
    assert user.post("/api_keys/", {"name": ""}).status_code == 422
    wrong = {"name": "wrong", "scopes": [{"object_type": "images", "action": "paint"}]}
    assert user.post("/api_keys/", wrong).status_code == 422


def test_keys_of_another_user_are_not_found(user: Client) -> None:
    other = Client.register(user.url, "second")
    made = other.create_key(admin=True)
    assert user.delete(f"/api_keys/{made['api_key_id']}").status_code == 404
    assert user.get("/api_keys/").json()["total"] == 0


def test_a_secrets_value_is_never_returned(user: Client) -> None:
    made = user.post("/secrets/", {"purpose": "case", "key": "TOKEN", "value": "hunter2"})
    assert made.status_code == 200
    secret_id = made.json()["secret_id"]
    text = made.text + user.get("/secrets/").text + user.get(f"/secrets/{secret_id}").text
    assert "TOKEN" in text
    assert "hunter2" not in text
    assert user.post("/secrets/", {"purpose": "CASE", "key": "TOKEN", "value": "x"}).status_code == 409
    assert user.delete(f"/secrets/{secret_id}").json() == {"secret_id": secret_id, "deleted": True}
    assert user.get(f"/secrets/{secret_id}").status_code == 404


@pytest.mark.parametrize("missing", ["purpose", "key", "value"])
def test_a_secret_needs_every_field(user: Client, missing: str) -> None:
    body = {"purpose": "case", "key": "TOKEN", "value": "hunter2"}
    del body[missing]
    response = user.post("/secrets/", body)
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
    assert user.upload("/logos/", {}, other=("a.png", b"x", "image/png")).status_code == 400


def test_prices_need_no_account(platform: RunningPlatform) -> None:
    prices = requests.get(f"{platform.url}/pricing", timeout=60).json()["gpu_price_estimates"]
    assert all(gpu["usd"]["hour"] > 0 for gpu in prices.values())
    assert prices["pro_6000"]["usd"]["hour"] == 1.8
    assert requests.get(f"{platform.url}/other", timeout=60).json() == {"detail": "Not Found"}
    assert (
        requests.get(f"{platform.url}/users/me", headers=make_bearer_header("cpk_wrong"), timeout=60).status_code == 401
    )
