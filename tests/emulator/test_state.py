"""The stored state, access to it, and the state after a kill."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.database import FILE_NAME
from chutes_wrappers.emulator.state import State
from chutes_wrappers.emulator.tables.image_table import Image, Upload
from chutes_wrappers.emulator.tables.key_table import ApiKey, Scope
from chutes_wrappers.emulator.tables.user_table import DailyAction, User
from tests.emulator.api.client import make_definition
from tests.scenario import ROOT

DAY_S = 86_400


def add_user(state: State, name: str = "tester") -> User:
    user, _ = state.users.add(username=name, hotkey=f"{name}-hot", coldkey="c", balance=100, permissions=0)
    return user


def add_image(state: State, user: User, status: str = "built and pushed") -> Image:
    image = Image(
        image_id="i1",
        user_id=user.user_id,
        name="case",
        tag="v1",
        readme="",
        public=False,
        logo_id=None,
        status=status,
        reference=None,
        sdk_version="0",
        created_at=0,
    )
    state.images.add(image, Upload(dockerfile="FROM scratch", build_context=b"zip"))
    return image


# Writes in small transactions, and in one that never ends, until it is killed.
WRITER = """
import sys
from pathlib import Path
from chutes_wrappers.emulator.state import State
from tests.emulator.test_state import add_image, add_user
state = State(Path(sys.argv[1]))
user = add_user(state)
add_image(state, user, "building")
number = 0
while True:
    state.images.append_log("i1", [f"line {number}", f"line {number} again"])
    number += 1
    print(number, flush=True)
"""


def test_a_kill_leaves_whole_transactions_and_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        last_number = 0
        for line in writer.stdout:
            last_number = int(line)
            if last_number >= 50:
                writer.kill()
                break
        last_number = max([last_number, *(int(line) for line in writer.stdout)])
    with State(tmp_path) as state:
        lines = state.images.read_log("i1")
        assert len(lines) >= 2 * last_number
        assert len(lines) % 2 == 0
        assert [line.position for line in lines] == list(range(1, len(lines) + 1))
        image = state.images.find_by_id("i1")
        assert image is not None
        assert image.status == "error: the emulator stopped while it was being built"
        assert state.images.read_upload("i1") == Upload(dockerfile="FROM scratch", build_context=b"zip")


def test_a_second_emulator_on_one_folder_is_rejected(tmp_path: Path) -> None:
    with State(tmp_path):
        with pytest.raises(ConfigurationError, match="another emulator uses this folder") as refused:
            State(tmp_path)
        assert refused.value.where == str(tmp_path)
        assert f"pid {os.getpid()}" in refused.value.what
        script = "import sys; from pathlib import Path; from chutes_wrappers.emulator.state import State; State(Path(sys.argv[1]))"
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
        assert "another emulator uses this folder" in done.stderr
    with State(tmp_path), State(tmp_path / "other"):
        pass


def test_the_state_is_private(tmp_path: Path) -> None:
    with State(tmp_path / "made"):
        assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
        for file in (tmp_path / "made").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_is_not_a_state_is_rejected(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("not a database, and long enough to look like one" * 20)
    with pytest.raises(ConfigurationError, match="not a state file"):
        State(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write the emulator's state to this folder"):
        State(tmp_path / "file")


def test_a_later_version_is_rejected(tmp_path: Path) -> None:
    State(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="another version"):
        State(tmp_path)


def test_a_state_with_the_former_table_of_versions_opens(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        user = add_user(state)
        chute = state.chutes.save(user_id=user.user_id, username="tester", image_id="i1", definition=make_definition())
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute(
            "CREATE TABLE chute_versions (chute_id TEXT NOT NULL REFERENCES chutes ON DELETE CASCADE, version TEXT NOT NULL,"
            " definition TEXT NOT NULL, created_at REAL NOT NULL)"
        )
        connection.execute("INSERT INTO chute_versions VALUES (?, ?, '{}', 0)", (chute.chute_id, chute.version))
    with State(tmp_path) as state:
        assert state.chutes.find_by_id(chute.chute_id) == chute
        state.chutes.save(user_id=user.user_id, username="tester", image_id="i2", definition=make_definition())
        state.chutes.remove(chute.chute_id)
        assert state.chutes.list_all() == []


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        user = add_user(state)

        def fail() -> None:
            with state.transaction():
                state.users.charge(user.user_id, 50)
                state.users.record_action(user.user_id, DailyAction.BUILD)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert state.users.find_by_id(user.user_id) == user
        assert state.users.count_today(user.user_id, DailyAction.BUILD) == 0


def test_days_are_counted_one_by_one(tmp_path: Path) -> None:
    now = 1_795_000_000.0
    with State(tmp_path, now=lambda: now) as state:
        user = add_user(state)
        for _ in range(3):
            state.users.record_action(user.user_id, DailyAction.BUILD)
        assert state.users.count_today(user.user_id, DailyAction.BUILD) == 3
        assert state.users.count_today(user.user_id, DailyAction.CHUTE) == 0
        now += DAY_S
        assert state.users.count_today(user.user_id, DailyAction.BUILD) == 0


def test_chutes_with_equal_slugs_get_different_hosts(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        first, second = add_user(state), add_user(state, "second")
        add_image(state, first)

        def deployed(user: User, name: str) -> str:
            return state.chutes.save(
                user_id=user.user_id, username=user.username, image_id="i1", definition=make_definition(name=name)
            ).slug

        assert deployed(first, "a/case") == "tester-a-case"
        assert deployed(first, "a.case") == "tester-a-case-2"
        assert deployed(first, "a-case") == "tester-a-case-3"
        assert deployed(first, "A/CASE") == "tester-a-case"
        assert deployed(second, "a/case") == "second-a-case"
        long = deployed(first, "x" * 100)
        assert len(long) == 58


def test_a_chutes_record_holds_what_its_instances_need(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        user = add_user(state)
        add_image(state, user)
        state.secrets.add(user_id=user.user_id, purpose="CASE", key="TOKEN", value="by-name")
        state.secrets.add(user_id=user.user_id, purpose="another", key="OTHER", value="x")
        chute = state.chutes.save(
            user_id=user.user_id,
            username="tester",
            image_id="i1",
            definition={**make_definition(), "standard_template": "vllm"},
        )
        state.secrets.add(user_id=user.user_id, purpose=chute.chute_id, key="SECOND", value="by-id")
        record = state.build_record(chute)
    assert record.environment == {"TOKEN": "by-name", "SECOND": "by-id"}
    assert "by-name" not in repr(record)
    assert (record.reference, record.slug, record.standard_template) == ("deploy_case:chute", "tester-case", "vllm")
    assert [(cord.path, cord.function) for cord in record.cords] == [("/greet", "greet")]


def test_a_found_record_is_that_of_the_last_change(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        user = add_user(state)
        add_image(state, user)
        chute = state.chutes.save(
            user_id=user.user_id, username="tester", image_id="i1", definition=make_definition(cords=[])
        )
        found = state.find_record(chute.slug)
        assert found == state.build_record(chute)
        assert state.find_record(chute.slug) is found
        state.users.set_balance(user.user_id, 7)
        changed = state.find_record(chute.slug)
        assert changed is not None
        assert changed.owner_balance == 7
        state.chutes.remove(chute.chute_id)
        assert state.find_record(chute.slug) is None


@pytest.mark.parametrize(
    ("scope", "action", "names", "may"),
    [
        (Scope(object_type="chutes"), "invoke", ("c1", "case"), True),
        (Scope(object_type="chutes", action="read"), "read", ("c1",), True),
        (Scope(object_type="chutes", action="read"), "invoke", ("c1",), False),
        (Scope(object_type="chutes", object_id="c1", action="invoke"), "invoke", ("c1", "case"), True),
        (Scope(object_type="chutes", object_id="c2", action="invoke"), "invoke", ("c1", "case"), False),
        (Scope(object_type="chutes", object_id="c1"), "read", (), False),
        (Scope(object_type="images"), "read", ("c1",), False),
    ],
)
def test_a_key_is_limited_to_its_scopes(scope: Scope, action: str, names: tuple[str, ...], may: bool) -> None:
    key = ApiKey(api_key_id="k", user_id="u", name="n", admin=False, scopes=(scope,), created_at=0)
    assert key.is_allowed_to(action, "chutes", *names) is may
