"""What is known about an API key, for responses that the emulator never sends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import API_KEY_NAME
from chutes_wrappers.host.account import key_access
from chutes_wrappers.host.account.credentials import AccountCredentials, Credentials, KeyCredentials
from chutes_wrappers.host.account.key_access import KeyState
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable

KEY_ID, USER_ID, OTHER_KEY_ID, OTHER_USER_ID = (str(uuid.UUID(int=number)) for number in (1, 2, 3, 4))
ACCOUNT = AccountCredentials(file=Path("config.ini"), username="me", user_id=USER_ID, address="5x", seed="0" * 64)
INVOKE = {"object_type": "chutes", "action": "invoke"}


def build_secret(key_id: str = KEY_ID, user_id: str = USER_ID) -> str:
    return f"cpk_{uuid.UUID(key_id).hex}.{uuid.UUID(user_id).hex}.random"


class FakeApi(PlatformApi):
    """The API with ``keys`` of the account; a request with a key gets the username ``owner``, or 401 for None."""

    def __init__(self, *keys: dict[str, Any], owner: str | None = None, created: dict[str, Any] | None = None) -> None:
        self.keys, self.owner, self.created = keys, owner, created
        self.requests: list[Any] = []
        self.is_key_used = False
        self.hidden_names: set[str] = set()

    def connect(self, credentials: Credentials) -> PlatformApi:
        self.is_key_used = isinstance(credentials, KeyCredentials)
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def get(self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert (path, purpose, self.is_key_used) == ("/users/me", "me", True)
        if self.owner is None:
            raise PlatformRequestFailed(what, status=401, where=path, evidence="", next_step="")
        return {"username": self.owner}

    def list_items(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        assert (path, purpose, self.is_key_used) == ("/api_keys/", "api_keys", False)
        yield from self.keys

    def post(self, path: str, what: str, body: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        self.requests.append(body)
        if body["name"] in self.hidden_names:
            detail = "An API key already exists with this name"
            raise PlatformRequestFailed(what, status=409, where=path, evidence=detail, next_step="")
        if self.created is None:
            raise PlatformUnreachable(what)
        return self.created

    def delete(self, path: str, what: str, *, purpose: str) -> dict[str, Any]:
        self.requests.append(path)
        return {}


def build_record(*scopes: Any, **fields: Any) -> dict[str, Any]:
    return {"api_key_id": KEY_ID, "name": "k", "admin": False, "scopes": list(scopes), **fields}


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (build_record(INVOKE), KeyState.INVOKE),
        (build_record({"object_type": "chutes", "method": "invoke"}), KeyState.INVOKE),
        (build_record({"object_type": "chutes", "method": None}), KeyState.LIMITED),
        (build_record({"object_type": "chutes", "action": None}), KeyState.OTHER),
        (build_record(INVOKE, {"object_type": "images", "method": "write"}), KeyState.OTHER),
        (build_record({"object_type": "images", "action": "invoke"}), KeyState.OTHER),
        (build_record(), KeyState.OTHER),
        (build_record(INVOKE, "all"), KeyState.OTHER),
        (build_record(scopes=None), KeyState.OTHER),
        (build_record(INVOKE, admin=True), KeyState.INVALID),  # an admin key that may not read
        (build_record(INVOKE, admin=None), KeyState.INVALID),
    ],
)
def test_a_listed_key_is_what_the_list_shows(record: dict[str, Any], state: KeyState) -> None:
    access = key_access.inspect_key(build_secret(), ACCOUNT, FakeApi(record).connect)
    assert access.state is state
    assert access.listed is not None


@pytest.mark.parametrize(
    ("secret", "owner", "state"),
    [
        (build_secret(), None, KeyState.INVALID),
        (build_secret(user_id=OTHER_USER_ID), None, KeyState.FOREIGN),
        ("cpk_of_another_form", None, KeyState.UNKNOWN),
        ("cpk_of_another_form", "me", KeyState.ADMIN),
        (build_secret(), "other", KeyState.FOREIGN),
    ],
)
def test_a_key_that_is_not_listed(secret: str, owner: str | None, state: KeyState) -> None:
    api = FakeApi(build_record(INVOKE, api_key_id=OTHER_KEY_ID), owner=owner)
    access = key_access.inspect_key(secret, ACCOUNT, api.connect)
    assert (access.state, access.listed) == (state, None)
    assert secret not in access.description


@pytest.mark.parametrize(("owner", "state"), [(None, KeyState.UNKNOWN), ("me", KeyState.ADMIN)])
def test_without_an_account_only_an_admin_key_is_known(owner: str | None, state: KeyState) -> None:
    assert key_access.inspect_key(build_secret(), None, FakeApi(owner=owner).connect).state is state


def test_the_request_for_a_key_is_that_of_the_sdk() -> None:
    api = FakeApi(created={**build_record(INVOKE), "secret_key": "cpk_new"})
    listed = key_access.list_keys(FakeApi(build_record(name="chutes-wrappers")))
    assert key_access.create_key(api, "invoke", listed).secret == "cpk_new"
    assert api.requests == [{"name": "chutes-wrappers-2", "admin": False, "scopes": [INVOKE]}]


@pytest.mark.parametrize(
    "created",
    [
        {**build_record(INVOKE, admin=True), "secret_key": "cpk_CANARY"},
        {**build_record({"object_type": "chutes", "action": "write"}), "secret_key": "cpk_CANARY"},
        build_record(INVOKE),
    ],
)
def test_a_key_that_is_not_what_was_requested_is_deleted_again(created: dict[str, Any]) -> None:
    api = FakeApi(created=created)
    with pytest.raises(WrapperError, match="did not create the requested API key") as failure:
        key_access.create_key(api, "invoke", [])
    assert api.requests[1:] == [f"/api_keys/{KEY_ID}"]
    assert "CANARY" not in str(failure.value)


def test_the_printed_command_quotes_an_id_for_the_shell() -> None:
    (listed,) = key_access.list_keys(FakeApi(build_record(api_key_id="$(id); x")))
    assert listed.deletion_command == ".venv/bin/chutes keys delete '$(id); x'"


def test_the_id_of_a_deleted_key_is_one_segment_of_a_path() -> None:
    (listed,) = key_access.list_keys(FakeApi(build_record()))
    for key_id in ("$(id); x", "..", "../chutes/x", "a?b"):
        api = FakeApi()
        with pytest.raises(WrapperError, match="invalid id in api_keys"):
            key_access.delete_key(api, replace(listed, key_id=key_id))
        assert api.requests == []
    key_access.delete_key(api, replace(listed, key_id=KEY_ID))
    assert api.requests == [f"/api_keys/{KEY_ID}"]


def test_a_lost_response_names_the_key_that_may_exist() -> None:
    with pytest.raises(PlatformUnreachable, match="if chutes-wrappers exists, delete it"):
        key_access.create_key(FakeApi(), "invoke", [])


def test_a_name_that_is_taken_and_not_listed_is_passed_over() -> None:
    api = FakeApi(created=build_record(INVOKE, secret_key="cpk_new"))
    api.hidden_names = {"chutes-wrappers", "chutes-wrappers-3"}
    listed = [key_access._parse_key(build_record(INVOKE, name="Chutes-Wrappers-2"))]
    assert key_access.create_key(api, "invoke", listed).secret == "cpk_new"
    assert [body["name"] for body in api.requests] == ["chutes-wrappers", "chutes-wrappers-3", "chutes-wrappers-4"]


def test_names_that_stay_taken_end_with_what_to_do() -> None:
    api = FakeApi()
    api.hidden_names = {"chutes-wrappers", *(f"chutes-wrappers-{number}" for number in range(100))}
    with pytest.raises(PlatformRequestFailed) as caught:
        key_access.create_key(api, "invoke", [])
    assert "delete keys that are not used" in str(caught.value.next_step)
    assert len(api.requests) == 10
    assert all(API_KEY_NAME.match(body["name"]) for body in api.requests)
