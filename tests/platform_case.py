"""A new account of the emulator, a module of it, and the two sides of the table of rules: preflight, and the API."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chutes_wrappers.cli.commands.sharing import check_secret_name
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.emulator.tables.image_table import Image, Upload
from chutes_wrappers.emulator.tables.user_table import DailyAction
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from chutes_wrappers.host.account.registration import check_username
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api.objects import parse_account, parse_chute, parse_image
from chutes_wrappers.host.preflight.account import find_chute_problems, find_deployment_problems, find_upload_problems
from chutes_wrappers.host.preflight.forges import find_base_problems
from chutes_wrappers.host.preflight.preflight import find_problems
from chutes_wrappers.host.preflight.problem import Problem, sort_problems
from tests.emulator.api.client import CORD, Client, make_definition
from tests.emulator.tokens import TOKEN
from tests.host.preflight.module_texts import CODE, build_description

FEE = 5.4


@dataclass
class Case:
    """A new account with one image, and a module that it wants to upload or deploy. Everything in it may be changed."""

    platform: RunningPlatform
    client: Client
    described: dict[str, Any] = field(default_factory=build_description)
    code: str = CODE
    path: str = "/x/deploy_case.py"
    public: bool = False
    accept_fee: bool = True
    sdk_version: str = "0.6.9"
    secret: str = "HF_TOKEN"
    username: str = ""
    variable: str = "chute"
    deletes_by_name: bool = False

    @classmethod
    def create(cls, platform: RunningPlatform) -> Case:
        case = cls(platform, Client.register(platform.url, f"user{uuid.uuid4().hex[:8]}"))
        case.username = case.client.account.username
        case.add_image()
        return case

    @property
    def user_id(self) -> str:
        return self.client.account.user_id

    @property
    def selector(self) -> dict[str, Any]:
        selector: dict[str, Any] = self.described["node_selector"]
        return selector

    @property
    def cord(self) -> dict[str, Any]:
        cord: dict[str, Any] = self.described["cords"][0]
        return cord

    @property
    def reference(self) -> str:
        return f"{self.described['image']['name']}:{self.described['image']['tag']}"

    def add_image(self, **changes: Any) -> None:
        """Store an image that is built; it replaces the one before."""
        images = self.platform.state.images
        if (existing := images.find_by_name(self.user_id, "case", "v1")) is not None:
            images.remove(existing.image_id)
        image = Image(
            image_id=str(uuid.uuid4()),
            user_id=self.user_id,
            name="case",
            tag="v1",
            readme="",
            public=False,
            logo_id=None,
            status=platform_rules.IMAGE_BUILT,
            reference=None,
            sdk_version="0.6.9",
            created_at=self.platform.state.now(),
        )
        images.add(replace(image, **changes), Upload(dockerfile="FROM scratch", build_context=b""))

    def remove_image(self) -> None:
        """Remove the image."""
        image = self.platform.state.images.find_by_name(self.user_id, "case", "v1")
        assert image is not None
        self.platform.state.images.remove(image.image_id)

    def add_chute(self, *, immutable: bool = False, **definition: Any) -> str:
        """Store a deployed chute with another version of the module's code, and with ``definition``; return its id."""
        chutes = self.platform.state.chutes
        body = make_definition(**{"name": self.described["name"], "code": "# older", **definition})
        chute = chutes.save(user_id=self.user_id, username=self.username, image_id="older", definition=body)
        chutes.change(chute, {"immutable": immutable})
        return chute.chute_id

    def set_balance(self, dollars: float) -> None:
        """Set the balance of the account."""
        self.platform.state.users.set_balance(self.user_id, dollars)

    def use_day(self, action: DailyAction, count: int) -> None:
        """Record actions of today."""
        for _ in range(count):
            self.platform.state.users.record_action(self.user_id, action)

    def change_name(self, name: str) -> None:
        """Rename the chute; its image stays."""
        self.described["name"] = name


def find_module_problems(case: Case) -> list[Problem]:
    facts = ModuleFacts(
        path=Path(case.path), chute_name="case", chute_tag="v1", base_image="base", service_ports=(8020,)
    )
    return find_problems(facts, case.described, case.code, username=case.username)


def find_problems_of_deployment(case: Case) -> list[Problem]:
    """Return what ``--deploy`` finds before it sends anything, from what the API says about the account."""
    get, bit, permission = case.client.get, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION
    account = parse_account(get("/users/me", "me").json(), bit, permission)
    response = get(f"/images/{case.reference}")
    image = parse_image(response.json()) if response.ok else None
    chutes = [parse_chute(item) for item in get("/chutes/").json()["items"]]
    fee = 0.0 if any(chute.name == case.described["name"] for chute in chutes) else FEE
    problems = find_deployment_problems(
        account, image, reference=case.reference, module="deploy_case", public=case.public, fee=fee
    )
    return sort_problems([*find_module_problems(case), *find_chute_problems(case.described, chutes), *problems])


def find_problems_of_upload(case: Case) -> list[Problem]:
    """Return what ``--build`` finds before it sends anything."""
    get, bit, permission = case.client.get, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION
    account = parse_account(get("/users/me", "me").json(), bit, permission)
    own = [parse_image(item) for item in get("/images/").json()["items"]]
    existing = next((image for image in own if image.reference == case.reference), None)
    problems = find_upload_problems(account, existing, "deploy_case", sdk_version=case.sdk_version, own_images=own)
    return sort_problems([*find_module_problems(case), *find_base_problems(case.described, case.path), *problems])


def make_problem(rule: str, check: Callable[[], object]) -> list[Problem]:
    """Return the refusal of a check that raises, as a problem."""
    try:
        check()
    except ConfigurationError as error:
        if f"rule {rule}, as of" not in str(error):
            raise
        return [Problem(rule=rule, what=error.what, where="", fix=error.next_step or "")]
    return []


def read_response(response: Any) -> tuple[int, str]:
    return response.status_code, response.text


def deploy(case: Case) -> tuple[int, str]:
    """Send what ``chutes deploy`` sends for the module (SDK entrypoint/deploy.py)."""
    described = case.described
    stem = Path(case.path).stem
    names = ("name", "tagline", "readme", "tee", *platform_rules.CHUTE_RANGES)
    body = {
        **{name: described[name] for name in names},
        "image": case.reference,
        "public": case.public,
        "node_selector": {name: value for name, value in case.selector.items() if value is not None},
        "filename": Path(case.path).name,
        "ref_str": f"{stem}:{case.variable}",
        "code": case.code,
        "cords": [{**CORD, **cord} for cord in described["cords"]],
    }
    return read_response(case.client.deploy(accept_fee=case.accept_fee, **body))


def upload(case: Case) -> tuple[int, str]:
    """Send what ``chutes build`` sends for the module's image."""
    image = case.described["image"]
    return read_response(
        case.client.build(image["name"], image["tag"], sdk_version=case.sdk_version, username=case.username)
    )


def _register(case: Case) -> tuple[int, str]:
    seed = accounts.generate_seed()
    account = replace(case.client.account, seed=seed, hotkey=keypair_from_seed(seed).ss58_address)
    body = {"username": case.username, "coldkey": account.hotkey}
    return read_response(Client(case.platform.url, account).post("/users/register", body, token=TOKEN))


def _store_secret(case: Case) -> tuple[int, str]:
    body = {"purpose": case.add_chute(), "key": case.secret, "value": "x"}
    return read_response(case.client.post("/secrets/", body))


def _delete(case: Case) -> tuple[int, str]:
    chute_id = case.add_chute()
    return read_response(case.client.delete(f"/chutes/{'case' if case.deletes_by_name else chute_id}"))


@dataclass(frozen=True)
class Way:
    """A request: what preflight finds before it, and how it is sent."""

    find: Callable[[Case], list[Problem]]
    send: Callable[[Case], tuple[int, str]]


DEPLOY = Way(find_problems_of_deployment, deploy)
UPLOAD = Way(find_problems_of_upload, upload)
DELETE = Way(lambda case: [], _delete)
REGISTER = Way(
    lambda case: make_problem("username", lambda: check_username(case.username)),
    _register,
)
SECRET = Way(
    lambda case: make_problem("secret-name", lambda: check_secret_name(case.secret)),
    _store_secret,
)
