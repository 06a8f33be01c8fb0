"""Requests that were sent to the platform's own API server of October 2025, with the status and text of its responses.

Numbers are those of that list. Where PLATFORM.md of August 2026 says otherwise, ``overruled_by`` is its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.emulator.tiny import ManualClock
from tests.emulator.tokens import TOKEN

from .client import CODE, CORD, Client, make_bearer_header, make_definition

PRO = {"gpu_count": 1, "include": ["pro_6000"]}
BY_ID_ONLY = 'Chutes are deleted by UUID only (400 "Must use chute UUID to delete." for a name).'
EXACT_NAME = "GET and PUT /chutes/{name} match the exact name over everybody's chutes."
TEE_ONLY = "it also needs gpu_count == 1 and include == ['pro_6000'], exactly one entry: else 400."
NEWER_METHODS = "(newest commit) GET, POST, PUT, PATCH, DELETE and HEAD are taken and routed."
LIMITED = "TEE private deployments are limited at this time"
MISSING_CHUTE = "Chute not found, or does not belong to you"
MISSING_IMAGE = "Image not found, or does not belong to you"
REFUSED_KEY = "Invalid token or user not found"
NO_TARGET = "or it does not belong to you"


class World:
    """Two accounts; an image and chutes of the first, one of them shared; keys with and without admin rights."""

    def __init__(self, platform: RunningPlatform, clock: ManualClock) -> None:
        self.platform, self.url, self.clock = platform, platform.url, clock
        self.carl = Client.register(self.url, "carl3521")
        self.dave = Client.register(self.url, "dave3521")
        self.image_id = self.carl.build_and_wait("img", "v1")["image_id"]
        self.carl.build_and_wait("open", "v1", public="True")
        self.one = self._deploy("one")
        self.shared = self._deploy("shared")
        self.share(self.carl, "shared", "dave3521")
        self.keys = {
            "admin": self.carl.create_key(name="k", admin=True),
            "invoke": self.carl.create_key(name="i", scopes=[{"object_type": "chutes", "action": "invoke"}]),
            "read": self.carl.create_key(name="r", scopes=[{"object_type": "chutes", "action": "read"}]),
        }
        platform.state.users.set_balance(self.dave.account.user_id, 0)

    def _deploy(self, name: str) -> str:
        response = self.deploy(name=name)
        assert response.ok, response.text
        chute_id: str = response.json()["chute_id"]
        return chute_id

    def deploy(self, *, accept_fee: bool = True, **overrides: Any) -> requests.Response:
        return self.carl.deploy(accept_fee=accept_fee, **{"name": "new", "image": "img:v1", **overrides})

    def share(self, owner: Client, chute: str, user: str, verb: str = "share") -> requests.Response:
        return owner.post(f"/chutes/{verb}", {"chute_id_or_name": chute, "user_id_or_name": user})

    def secret(self, purpose: str, key: str) -> requests.Response:
        return self.carl.post("/secrets/", {"purpose": purpose, "key": key, "value": "x"})

    def send(self, method: str, path: str, key: str = "", json: Any = None, **headers: str) -> requests.Response:
        """Send a request that is not signed, or with one of the keys."""
        sent = {**headers, **(make_bearer_header(self.keys[key]["secret_key"]) if key else {})}
        return requests.request(method, self.url + path, headers=sent, json=json, timeout=60)

    def register(
        self, name: str, coldkey: str = "", token: str = TOKEN, hotkey: Client | None = None
    ) -> requests.Response:
        seed = hotkey.account.seed if hotkey else accounts.generate_seed()
        account = accounts.Account(
            username=name, user_id="", payment_address="", hotkey=keypair_from_seed(seed).ss58_address, seed=seed
        )
        body = {"username": name, "coldkey": coldkey or account.hotkey}
        return Client(self.url, account).post("/users/register", body, **({"token": token} if token else {}))

    def upload(self, client: Client | None = None, **fields: str) -> requests.Response:
        name, tag = fields.pop("name", "more"), fields.pop("tag", "v1")
        return (client or self.carl).build(name, tag, None, **fields)

    def upload_without(self, field: str) -> requests.Response:
        fields = {"username": "carl3521", "name": "less", "tag": "v1", "readme": "", "dockerfile": "FROM scratch"}
        del fields[field]
        return self.carl.upload("/images/", fields, build_context=("chute.zip", b"", "application/zip"))

    def use_deleted_key(self) -> requests.Response:
        key = self.carl.create_key(name="gone", admin=True)
        headers = make_bearer_header(key["secret_key"])
        assert requests.get(f"{self.url}/users/me", headers=headers, timeout=60).ok
        assert self.carl.delete(f"/api_keys/{key['api_key_id']}").ok
        return requests.get(f"{self.url}/users/me", headers=headers, timeout=60)

    def log_in_as_stranger(self, path: str) -> requests.Response:
        stranger = Client(self.url, accounts.Account(**{**vars(self.carl.account), "seed": accounts.generate_seed()}))
        return stranger.get(path)


Send = Callable[[World], requests.Response]


@dataclass(frozen=True)
class Row:
    """One request, and the status and a part of the text of its response."""

    number: int
    send: Send
    status: int
    text: str = ""
    overruled_by: str = ""


def cords(**changes: Any) -> dict[str, Any]:
    return {"cords": [{**CORD, **changes}]}


ROWS = (
    Row(1, lambda w: w.send("GET", "/ping"), 200),
    Row(2, lambda w: w.send("GET", "/nothing"), 401, "Authentication required."),
    Row(3, lambda w: w.send("PUT", "/images/"), 401, "Authentication required."),
    Row(4, lambda w: w.send("GET", "/pricing"), 200, '"tao_usd"'),
    Row(5, lambda w: w.register("new5", token=""), 400, "Missing registration token in URL query params"),
    Row(6, lambda w: w.register("ab"), 400, "Username must be 3-15 characters and contain only alphanumeric/"),
    Row(7, lambda w: w.register("with-dash"), 200),
    Row(8, lambda w: w.register("new8", coldkey="no address"), 200),
    Row(10, lambda w: w.register("CARL3521"), 409, "Username CARL3521 already exists, sorry! Please choose another."),
    Row(11, lambda w: w.register("new11", hotkey=w.carl), 409, "This hotkey is already registered to a user!"),
    Row(14, lambda w: w.carl.get("/users/me", "chutes"), 401, "Invalid request signature for hotkey 5"),
    Row(15, lambda w: w.send("GET", "/users/me"), 401, "Can't find a user with that api key in our db :("),
    Row(
        17,
        lambda w: w.send("GET", "/users/me", **{**w.carl.headers(purpose="me"), "X-Chutes-Nonce": "1"}),
        401,
        "Invalid nonce!",
    ),
    Row(18, lambda w: w.log_in_as_stranger("/images/"), 401, "Could not find user with hotkey: 5"),
    Row(
        19,
        lambda w: w.send("GET", "/users/me", Authorization="Bearer cpk_x"),
        401,
        "Missing or invalid authorization header(s)",
    ),
    Row(20, lambda w: w.send("GET", "/users/me", Authorization="Bearer x"), 401, "Invalid token."),
    Row(
        22,
        lambda w: w.carl.post("/api_keys/", {"name": "k", "admin": True}),
        409,
        "An API key already exists with this name",
    ),
    Row(
        23,
        lambda w: w.carl.post("/api_keys/", {"name": "n" * 30, "admin": True}),
        400,
        "API key name should start with",
    ),
    Row(
        24,
        lambda w: w.carl.post("/api_keys/", {"name": "b", "admin": False, "scopes": [{"object_type": "keys"}]}),
        *(400, "Invalid object_type, must be one of images, chutes, invocations"),
    ),
    Row(25, lambda w: w.carl.post("/api_keys/", {"name": "c"}), 422, '"loc":["body","admin"]'),
    Row(30, lambda w: w.carl.get("/api_keys/k"), 404, "API key with id k not found or doesn't belong to you"),
    Row(33, lambda w: w.send("GET", "/users/me", "invoke"), 401, REFUSED_KEY),
    Row(34, lambda w: w.upload(w.dave), 402, "You must have a balance of >= $50 to create images."),
    Row(35, lambda w: w.upload(username="other"), 401, "Cannot make images for users other than yourself!"),
    Row(36, lambda w: w.carl.upload("/images/", {"name": "x"}, other=("a", b"", "a/b")), 422, '"build_context"'),
    Row(37, lambda w: w.upload_without("readme"), 422, '"loc":["body","readme"]'),
    Row(38, lambda w: w.upload(name="x"), 500, "Internal Server Error"),
    Row(39, lambda w: w.upload(name="a/bcd"), 202),
    Row(40, lambda w: w.upload(tag="1"), 500, "Internal Server Error"),
    Row(41, lambda w: w.upload(name="long", readme="r" * 20_000), 202),
    Row(44, lambda w: w.upload(name="img"), 409, "Image with name='img' and tag='v1' aready exists"),
    Row(
        46,
        lambda w: w.upload(name="Img", tag="V1"),
        409,
        "aready exists",
        "user/Name:tag and user/name:tag are one image.",
    ),
    Row(49, lambda w: w.carl.get("/images/", limit=0), 200),
    Row(50, lambda w: w.send("GET", "/images/"), 401, "Can't find a user"),
    Row(52, lambda w: w.carl.get("/images/img:v1"), 200),
    Row(53, lambda w: w.carl.get("/images/carl3521/img:v1"), 200),
    Row(54, lambda w: w.carl.get("/images/IMG:v1"), 404, MISSING_IMAGE),
    Row(55, lambda w: w.dave.get("/images/carl3521/img:v1"), 404, MISSING_IMAGE),
    Row(57, lambda w: w.carl.get(f"/images/{w.image_id}/logs"), 200, "built and pushed"),
    Row(58, lambda w: w.carl.get("/images/img:v1/logs"), 404, MISSING_IMAGE),
    Row(59, lambda w: w.dave.get(f"/images/{w.image_id}/logs"), 404, MISSING_IMAGE),
    Row(60, lambda w: w.deploy(accept_fee=False), 402, "DEPLOYMENT FEE NOTICE:"),
    Row(61, lambda w: w.deploy(image="nope:v1"), 400, "Chute image not found, or does not belong to you"),
    Row(
        62,
        lambda w: w.dave.deploy(image="carl3521/open:v1"),
        402,
        "The deployment fee, based on your node selector, is $5.4",
    ),
    Row(63, lambda w: w.deploy(public=True), 400, "Chutes no longer supports public chutes."),
    Row(64, lambda w: w.deploy(public=True, image="open:v1"), 400, "Chutes no longer supports public chutes."),
    Row(65, lambda w: w.deploy(name="ab"), 422, '"string_too_short"'),
    Row(66, lambda w: w.deploy(name="a b c"), 400, "Validation failure: Invalid chute name: a b c"),
    Row(67, lambda w: w.deploy(**cords(path="/a-b")), 400, "Validation failure: Invalid cord path: /a-b"),
    Row(
        68, lambda w: w.deploy(**cords(public_api_path="/1a")), 400, "Validation failure: Invalid cord public path: /1a"
    ),
    Row(69, lambda w: w.deploy(name="put", **cords(public_api_method="PUT")), 200, "", NEWER_METHODS),
    Row(70, lambda w: w.deploy(cords=[]), 400, "A chute must define at least one cord() or job() function!"),
    Row(71, lambda w: w.deploy(name="twice", cords=[CORD, CORD]), 200),
    Row(72, lambda w: w.deploy(node_selector={**PRO, "gpu_count": 9}), 422, '"less_than_equal"'),
    Row(73, lambda w: w.deploy(node_selector={**PRO, "min_vram_gb_per_gpu": 200}), 422, '"less_than_equal"'),
    Row(
        74,
        lambda w: w.deploy(node_selector={"include": ["rtx1"]}),
        422,
        "Value error, Invalid GPU identifiers `include`: {'rtx1'}",
    ),
    Row(75, lambda w: w.deploy(node_selector={"include": ["5090"]}), 400, LIMITED, TEE_ONLY),
    Row(76, lambda w: w.deploy(node_selector={"include": ["b200"]}), 400, LIMITED, TEE_ONLY),
    Row(77, lambda w: w.deploy(concurrency=300), 422, '"less_than_equal"'),
    Row(78, lambda w: w.deploy(max_instances=0), 422, '"greater_than_equal"'),
    Row(79, lambda w: w.deploy(shutdown_after_seconds=5), 422, '"greater_than_equal"'),
    Row(
        80, lambda w: w.deploy(filename="Upper.py"), 400, "Validation failure: Invalid entrypoint filename: 'Upper.py'"
    ),
    Row(81, lambda w: w.deploy(name="otherref", ref_str="other:chute"), 200),
    Row(
        82,
        lambda w: w.deploy(code="x = ("),
        400,
        "Validation failure: Invalid code submited: '(' was never closed (<unknown>, line 1)",
    ),
    Row(83, lambda w: w.deploy(code="#" * 150_001), 422, "String should have at most 150000 characters"),
    Row(84, lambda w: w.deploy(tagline="t" * 1025), 422, "String should have at most 1024 characters"),
    Row(85, lambda w: w.deploy(name="first"), 200),
    Row(87, lambda w: w.deploy(name="one"), 409, "and public=False already exists"),
    Row(88, lambda w: w.deploy(name="one", code=CODE + "#"), 200),
    Row(89, lambda w: w.deploy(name="ONE", code=CODE + "##"), 200, '"name":"one"'),
    Row(90, lambda w: w.deploy(name="o_e", code=CODE + "###", accept_fee=False), 200, '"name":"one"'),
    Row(
        91,
        lambda w: w.send("POST", "/chutes/", "admin", make_definition(name="one", image="img:v1", code=CODE + "#4")),
        200,
    ),
    Row(92, lambda w: w.send("POST", "/chutes/", "read", make_definition()), 401, REFUSED_KEY),
    Row(94, lambda w: w.send("GET", "/chutes/"), 200, '"total":0'),
    Row(95, lambda w: w.log_in_as_stranger("/chutes/"), 200, '"total":0'),
    Row(96, lambda w: w.carl.get("/chutes/one"), 200),
    Row(98, lambda w: w.carl.get("/chutes/carl3521/one"), 200, '"name":"one"'),
    Row(99, lambda w: w.carl.get("/chutes/ONE"), 404, MISSING_CHUTE, EXACT_NAME),
    Row(100, lambda w: w.carl.get("/chutes/o_e"), 404, MISSING_CHUTE, EXACT_NAME),
    Row(101, lambda w: w.carl.get("/chutes/nope"), 404, MISSING_CHUTE),
    Row(102, lambda w: w.dave.get(f"/chutes/{w.one}"), 404, MISSING_CHUTE),
    Row(103, lambda w: w.send("GET", f"/chutes/{w.one}"), 404, MISSING_CHUTE),
    Row(104, lambda w: w.send("GET", "/chutes/one", "invoke"), 401, REFUSED_KEY),
    Row(105, lambda w: w.send("GET", f"/chutes/{w.one}", "read"), 401, REFUSED_KEY),
    Row(106, lambda w: w.carl.get(f"/chutes/code/{w.one}"), 200, "from chutes.chute import Chute, NodeSelector"),
    Row(
        107,
        lambda w: w.carl.get(f"/chutes/warmup/{w.one}", quick="true"),
        200,
        '"status":"cold"',
        "quick=true answers at once.",
    ),
    Row(109, lambda w: w.dave.get(f"/chutes/warmup/{w.one}"), 404, MISSING_CHUTE),
    Row(110, lambda w: w.share(w.carl, "one", "nobody"), 404, "Could not find target user to share with"),
    Row(111, lambda w: w.share(w.carl, "one", "carl3521"), 400, "Cannot share a chute with yourself"),
    Row(
        112,
        lambda w: w.share(w.carl, "nope", "dave3521"),
        404,
        "Did not find target chute nope, or it does not belong to you",
    ),
    Row(113, lambda w: w.share(w.dave, w.one, "carl3521"), 404, NO_TARGET),
    Row(114, lambda w: w.share(w.carl, "one", "dave3521", "unshare"), 200),
    Row(116, lambda w: w.share(w.carl, "shared", "dave3521"), 200),
    Row(117, lambda w: w.dave.get(f"/chutes/{w.shared}"), 200),
    Row(119, lambda w: w.dave.delete(f"/chutes/{w.shared}"), 404, MISSING_CHUTE),
    Row(120, lambda w: w.dave.get(f"/chutes/code/{w.shared}"), 200, "from chutes.chute import"),
    Row(122, lambda w: w.secret("one", "TOK"), 200),
    Row(123, lambda w: w.secret(w.one, "TOK"), 409, "A secret already exists for this purpose with this key."),
    Row(125, lambda w: w.secret("nope", "TOK"), 404, "Did not find target chute nope, or it does not belong to you"),
    Row(126, lambda w: w.secret("one", ""), 200),
    Row(130, lambda w: w.carl.delete("/secrets/x"), 404, "Secret not found, or does not belong to you"),
    Row(
        131, lambda w: w.carl.get("/instances/nope/logs", "logs"), 401, "Either payload_str or purpose must be provided"
    ),
    Row(132, lambda w: w.send("GET", "/instances/nope/logs", "admin"), 404, "Instance not found."),
    Row(
        133,
        lambda w: w.carl.upload("/logos/", {}, logo=("a.txt", b"x", "text/plain")),
        400,
        "Uploaded logo is not an image!",
    ),
    Row(134, lambda w: w.carl.delete(f"/images/{w.image_id}"), 409, "Image is in use by one or more chutes"),
    Row(135, lambda w: w.carl.delete("/chutes/nope"), 400, "Must use chute UUID to delete.", BY_ID_ONLY),
    Row(136, lambda w: w.send("DELETE", f"/chutes/{w.one}", "read"), 401, REFUSED_KEY),
    Row(137, lambda w: w.carl.delete("/chutes/ONE"), 400, "Must use chute UUID to delete.", BY_ID_ONLY),
    Row(139, lambda w: w.dave.delete(f"/images/{w.image_id}"), 404, MISSING_IMAGE),
    Row(142, lambda w: w.carl.delete_chute("five"), 404, MISSING_CHUTE),
    Row(145, lambda w: w.carl.delete_chute("otherref"), 200),
    Row(146, lambda w: w.carl.delete_chute("badcode"), 404, MISSING_CHUTE),
    Row(148, lambda w: w.carl.delete("/images/nope:v1"), 404, MISSING_IMAGE),
    Row(151, lambda w: w.use_deleted_key(), 200),
)
# The requests of the list whose status the emulator had wrong.
ONCE_WRONG = {
    *(
        2,
        3,
        7,
        8,
        23,
        24,
        25,
        30,
        33,
        35,
        37,
        38,
        39,
        41,
        46,
        49,
        54,
        58,
        61,
        63,
        64,
        65,
        67,
        68,
        69,
        70,
        74,
        75,
        81,
        82,
    ),
    *(85, 90, 92, 94, 95, 98, 100, 103, 104, 105, 106, 111, 114, 120, 123, 125, 126, 131, 136, 142, 145, 146, 151),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that builds and runs nothing, and remembers as long as the real one."""
    clock = ManualClock()
    settings = Settings(
        folder=tmp_path_factory.mktemp("state"),
        docker=False,
        registration_token=TOKEN,
        staleness=PLATFORM_STALENESS,
        clock=clock,
    )
    with run_platform(settings) as platform:
        yield World(platform, clock)


def test_every_response_is_the_platforms(world: World) -> None:
    """All rows in one test: later requests depend on earlier ones."""
    wrong = []
    for row in ROWS:
        response = row.send(world)
        if (response.status_code, row.text in response.text) != (row.status, True):
            wrong.append(
                f"{row.number}: {response.status_code} {response.text[:200]}, expected {row.status} {row.text}"
            )
    assert not wrong, "\n".join(wrong)


def test_every_request_with_another_status_is_in_the_table() -> None:
    assert len(ONCE_WRONG) == 53
    assert {row.number for row in ROWS} >= ONCE_WRONG
    assert [row.number for row in ROWS] == sorted({row.number for row in ROWS})


def test_responses_have_the_fields_that_clients_read(world: World) -> None:
    chute, image = world.carl.get(f"/chutes/{world.one}").json(), world.carl.get("/images/img:v1").json()
    assert chute["supported_gpus"] == chute["node_selector"]["supported_gpus"] == ["pro_6000"]
    assert chute["current_estimated_price"]["usd"]["hour"] == 1.8
    assert (chute["cord_ref_id"], chute["tool_description"], chute["logo"]) == (None, None, None)
    assert chute["chutes_version"] == image["chutes_version"]
    assert {"logo", "patch_version", "user_id"} <= image.keys()
    assert {"username", "logo", "logo_id", "created_at"} <= image["user"].keys()
    me, registered = world.carl.get("/users/me", "me").json(), world.register("shape").json()
    assert {"logo", "logo_id", "balance", "permissions_bitmask"} <= me.keys()
    assert {"logo", "logo_id", "api_key", "fingerprint"} <= registered.keys()
    assert not {"balance", "permissions", "permissions_bitmask"} & registered.keys()
    price = world.send("GET", "/pricing").json()["gpu_price_estimates"]["pro_6000"]
    assert (price["usd"]["hour"], set(price)) == (1.8, {"usd", "tao"})
    for path in ("/images/", "/chutes/", "/api_keys/", "/secrets/"):
        assert {"total", "page", "limit", "items", "cord_refs"} == world.carl.get(path).json().keys()
