"""Lookup by the computed id, the own list, ``USER/NAME`` and ids: what comes back is used only when it is certain whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_checks import compute_chute_id, compute_image_id
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import (
    ChuteName,
    add_listed_cords,
    find_image,
    find_listed_chute,
    find_own_chute,
    find_own_image,
    get_chute,
    get_own_chute,
    get_own_image,
    list_own_chutes,
    list_own_images,
    refresh_chute,
)
from chutes_wrappers.host.platform_api.record_lookup import build_path

OWN_ID = compute_chute_id("tester", "case")
OTHER_ID = "11111111-2222-4333-8444-555555555555"
CORD = {"path": "/a", "public_api_path": "/a"}


def make_record(
    chute_id: str = OWN_ID, name: str = "case", owner: str | None = "tester", **more: Any
) -> dict[str, Any]:
    user = {} if owner is None else {"user": {"username": owner}}
    return {"chute_id": chute_id, "name": name, **user, **more}


class FakeApi:
    """The API with ``objects`` by path, and one ``listed`` object per page. ``requests`` are the paths with their parameters."""

    def __init__(
        self,
        objects: Mapping[str, Mapping[str, Any]] | None = None,
        listed: Sequence[Any] = (),
        *,
        username: str = "tester",
        cord_refs: Mapping[str, Any] | None = None,
    ) -> None:
        self.username = username
        self.requests: list[str] = []
        self._objects, self._listed, self._cord_refs = objects or {}, listed, cord_refs

    def get(self, path: str, what: str, *, purpose: str) -> Mapping[str, Any]:
        assert path == "/users/me"
        return {"username": self.username}

    def find(self, path: str, what: str, *, purpose: str) -> Mapping[str, Any] | None:
        self.requests.append(path)
        return self._objects.get(path)

    def list_pages(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        self.requests.append(f"{path}?{'&'.join(f'{name}={value}' for name, value in (params or {}).items())}")
        for item in self._listed:
            yield {"items": [item], "cord_refs": self._cord_refs}

    def list_items(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        for page in self.list_pages(path, what, purpose=purpose, params=params):
            yield from page["items"]


def as_api(fake: FakeApi) -> PlatformApi:
    return cast(PlatformApi, fake)


def get(fake: FakeApi, name: str, *, is_of_module: bool = False) -> str:
    """Return the id of what ``get_chute`` returns."""
    return get_chute(as_api(fake), ChuteName(text=name, is_of_module=is_of_module), lambda line: None).chute_id


def test_an_own_chute_is_requested_by_the_id_of_user_and_name() -> None:
    fake = FakeApi({f"/chutes/{OWN_ID}": make_record()})
    assert get(fake, "case") == OWN_ID
    assert fake.requests == [f"/chutes/{OWN_ID}"]


def test_the_computed_id_proves_the_owner_that_an_older_api_omits() -> None:
    fake = FakeApi({f"/chutes/{OWN_ID}": make_record(owner=None)})
    assert get_own_chute(as_api(fake), ChuteName(text="case")).owner == "tester"
    for chute_id in (OWN_ID, OTHER_ID):
        listed = FakeApi({}, [make_record(chute_id, owner=None)])
        assert (find_own_chute(as_api(listed), "case") is not None) == (chute_id == OWN_ID)
        assert len(list_own_chutes(as_api(listed))) == (chute_id == OWN_ID)


def test_a_chute_with_another_id_than_its_name_has_is_found_in_every_page_of_the_list() -> None:
    records = [make_record(f"id-{number}", f"case-{number}") for number in range(3)]
    fake = FakeApi({}, [None, "text", *records, make_record(OTHER_ID)])
    assert get(fake, "case") == OTHER_ID
    assert fake.requests[-1] == "/chutes/?include_public=false&name=case"
    found = find_listed_chute(as_api(fake), "case")
    assert found is not None
    assert found.chute_id == OTHER_ID


@pytest.mark.parametrize(
    "record",
    [
        make_record(owner="stranger"),
        make_record(OTHER_ID, owner="stranger"),
        make_record(OTHER_ID),
        make_record(name="other"),
        make_record(name="Case"),
        make_record(name="case\x07"),
        make_record(owner="tester\x07"),
        make_record(owner="Tester"),
    ],
)
def test_a_record_that_is_not_certainly_the_own_chute_is_named_and_not_used(record: dict[str, Any]) -> None:
    fake = FakeApi({f"/chutes/{OWN_ID}": record})
    for find in (lambda: find_own_chute(as_api(fake), "case"), lambda: get(fake, "case")):
        with pytest.raises(WrapperError, match="the platform returned another chute for 'case'") as caught:
            find()
        assert f"of {record['user']['username'].strip(chr(7))}" in str(caught.value)
        assert "\x07" not in str(caught.value)
    assert find_own_chute(as_api(FakeApi({f"/chutes/{OWN_ID}": record}, [make_record(OTHER_ID)])), "case") is not None


def test_an_id_is_that_of_the_record_and_the_owner_is_reported() -> None:
    record = make_record(OTHER_ID, owner="stranger")
    fake, reported = FakeApi({f"/chutes/{OTHER_ID}": record}), list[str]()
    chute = get_chute(as_api(fake), ChuteName(text=OTHER_ID.upper()), reported.append)
    assert (chute.chute_id, chute.owner) == (OTHER_ID, "stranger")
    assert reported == [f"{OTHER_ID.upper()} is the chute case of stranger"]
    with pytest.raises(WrapperError, match="of stranger, and only its owner may change it"):
        get_own_chute(as_api(fake), ChuteName(text=OTHER_ID))
    unknown = FakeApi({f"/chutes/{OTHER_ID}": make_record(OTHER_ID, owner=None)})
    with pytest.raises(WrapperError, match="of an unknown user"):
        get_own_chute(as_api(unknown), ChuteName(text=OTHER_ID))
    trap = FakeApi({f"/chutes/{OTHER_ID}": make_record("id-of-the-trap", OTHER_ID, "stranger")})
    with pytest.raises(WrapperError, match="of stranger"):
        get(trap, OTHER_ID)


def test_the_chute_of_a_module_is_never_another_users() -> None:
    chute_id = compute_chute_id("stranger", "case")
    fake = FakeApi({f"/chutes/{chute_id}": make_record(chute_id, owner="stranger")})
    assert get(fake, "stranger/case") == chute_id
    for name in ("stranger/case", chute_id):
        with pytest.raises(WrapperError, match="not found"):
            get(fake, name, is_of_module=True)


def test_an_own_name_with_a_slash_comes_before_that_of_another_user() -> None:
    own_id, other_id = compute_chute_id("tester", "models/case"), compute_chute_id("models", "case")
    other = make_record(other_id, owner="models")
    fake = FakeApi({f"/chutes/{own_id}": make_record(own_id, "models/case"), f"/chutes/{other_id}": other})
    assert get(fake, "models/case") == own_id
    assert get(FakeApi({f"/chutes/{other_id}": other}), "models/case") == other_id


def test_a_shared_chute_of_the_name_is_reported_with_the_name_that_means_it() -> None:
    fake = FakeApi({}, [make_record(OTHER_ID, owner="stranger")])
    with pytest.raises(WrapperError, match="the chute 'case' is stranger's, not tester's") as caught:
        get(fake, "case")
    assert "stranger/case" in str(caught.value)
    assert "Only its owner may change it" in str(caught.value)
    with pytest.raises(WrapperError, match="the chute 'case' is an unknown user's") as caught:
        get(FakeApi({}, [make_record(OTHER_ID, owner=None)]), "case")
    assert "use the id if you trust its owner" in str(caught.value)


def test_a_chute_whose_absence_the_platform_remembers_is_refreshed_from_the_list() -> None:
    listed = [make_record(version="2")]
    chute = find_listed_chute(as_api(FakeApi({}, listed)), "case")
    assert chute is not None
    assert refresh_chute(as_api(FakeApi({}, listed)), chute).version == "2"
    with pytest.raises(WrapperError, match="chute 'case' not found"):
        refresh_chute(as_api(FakeApi()), chute)


def test_cords_beside_the_list_are_added() -> None:
    listed, references = [make_record(cord_ref_id="r")], {"r": [CORD]}
    found = find_listed_chute(as_api(FakeApi({}, listed, cord_refs=references)), "case")
    assert found is not None
    assert found.cords == (CORD,)
    without = get_chute(as_api(FakeApi({f"/chutes/{OWN_ID}": make_record()})), ChuteName(text="case"), print)
    assert add_listed_cords(as_api(FakeApi({}, listed, cord_refs=references)), without).record["cords"] == [CORD]
    assert add_listed_cords(as_api(FakeApi()), without).cords == ()


@pytest.mark.parametrize("name", ["case", "/case", "a/case", "stranger/", "..", "case?x=1"])
def test_without_the_account_only_an_id_or_a_user_and_a_name_are_certain(name: str) -> None:
    fake = FakeApi(username="")
    with pytest.raises(WrapperError, match="cannot be looked up by its name") as caught:
        get(fake, name)
    assert ("--url" in str(caught.value), fake.requests) == (True, [])
    assert "with an admin key, USER/NAME" in str(caught.value)


def test_without_the_account_a_module_is_not_advised_to_be_a_name() -> None:
    """--forward takes modules only."""
    fake = FakeApi(username="")
    with pytest.raises(WrapperError, match="add --url") as caught:
        get_chute(cast(PlatformApi, fake), ChuteName(text="case", is_of_module=True), print)
    assert "USER/NAME" not in str(caught.value)


@pytest.mark.parametrize("name", ["../users/me", "..", "case/../../x", "case?limit=1", "case#x", "a%2fb", "%", "_"])
def test_a_name_is_never_part_of_a_path(name: str) -> None:
    fake = FakeApi()
    with pytest.raises(WrapperError, match="not found"):
        get(fake, name)
    for request in fake.requests:
        path = urlsplit(request.partition("?")[0]).path
        assert path == "/chutes/" or path.removeprefix("/chutes/").replace("-", "").isalnum(), request
    assert parse_qs(fake.requests[-1].partition("?")[2])["include_public"] == ["false"]


@pytest.mark.parametrize("object_id", ["", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "ä", "a\n"])
def test_an_id_of_the_platform_is_one_segment_of_a_path(object_id: str) -> None:
    with pytest.raises(WrapperError, match="invalid id in instances"):
        build_path("instances", object_id)
    assert build_path("instances", OTHER_ID) == f"/instances/{OTHER_ID}"


def test_an_image_is_the_accounts_own_of_that_name_and_tag() -> None:
    image_id, other_id = compute_image_id("tester", "case", "v1"), compute_image_id("stranger", "case", "v1")
    own = {"image_id": image_id, "name": "case", "tag": "v1", "user": {"username": "tester"}}
    other = {**own, "image_id": other_id, "user": {"username": "stranger"}}
    fake = FakeApi({f"/images/{image_id}": own, f"/images/{other_id}": other}, [own, other])
    for reference, expected in (("Case:V1", image_id), ("stranger/case:v1", other_id), (other_id, other_id)):
        image = find_image(as_api(fake), reference)
        assert image is not None
        assert image.image_id == expected
    assert [image["image_id"] for image in list_own_images(as_api(fake))] == [image_id]
    assert find_own_image(as_api(FakeApi({}, [other, {**own, "tag": "v2"}])), "case:v1") is None
    assert get_own_image(as_api(fake), image_id).image_id == image_id
    for reference in ("stranger/case:v1", other_id):
        with pytest.raises(WrapperError, match="of stranger, and only its owner may change it"):
            get_own_image(as_api(fake), reference)
    with pytest.raises(WrapperError, match="another image"):
        find_own_image(as_api(FakeApi({f"/images/{image_id}": other})), "case:v1")


class RememberingApi(FakeApi):
    """An API that remembers an older list for one filter, as the server of October 2025 does for a minute."""

    def list_pages(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        if "name" in (params or {}):
            yield {"items": []}
        else:
            yield from super().list_pages(path, what, purpose=purpose, params=params)


def test_a_chute_that_only_the_whole_list_has_is_found_and_not_suggested() -> None:
    fake = RememberingApi({}, [make_record(compute_chute_id("tester", "search"), "search")])
    assert get(fake, "search") == compute_chute_id("tester", "search")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("serch", "did you mean search"),
        ("SEARCH", "did you mean search"),
        ("search ", "did you mean search"),
        ("tester/serch", "did you mean search? "),
        ("alice/serch", "did you mean alice/search? "),
        ("bob/search", ""),  # another user's chute is never meant by it
        ("nothing-like-it", ""),
    ],
)
def test_a_suggestion_is_another_name_of_the_owner_that_was_asked_for(name: str, suggestion: str) -> None:
    records = [make_record("id-1", "search"), make_record("id-2", "search", owner="alice")]
    with pytest.raises(WrapperError, match="not found") as caught:
        get(FakeApi({}, records), name)
    assert (caught.value.next_step or "").startswith(suggestion or "list yours with")
