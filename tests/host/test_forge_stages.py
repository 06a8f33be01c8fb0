from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host import forge_stages
from chutes_wrappers.host.forge_stages import (
    AS_INSTANCE_USER,
    AS_ROOT,
    BYTECODE_MANIFEST,
    INSPECTION,
    STAGES,
    StageFailed,
    build_forge_image,
    find_stage,
    make_dockerfiles,
)

OnLine = Callable[[str], None]


def list_users(dockerfile: str) -> dict[str, str]:
    """Return the user of each stage of a Dockerfile, by the stage's name."""
    users, user = {}, ""
    for line in dockerfile.splitlines():
        if line.startswith("USER "):
            user = line.removeprefix("USER ")
        for stage in STAGES:
            if line.startswith("RUN ") and stage.command in line:
                users[stage.name] = user
    return users


def test_every_stage_runs_in_the_forges_order_as_the_forges_user() -> None:
    first, second = make_dockerfiles("case:v1")
    assert list(list_users(first).items()) == [
        *((stage.name, "root") for stage in AS_ROOT),
        *((stage.name, "chutes") for stage in AS_INSTANCE_USER),
    ]
    # Its first user is that of the image: the last of the first Dockerfile.
    assert list(list_users(second).items()) == [(INSPECTION.name, ""), (BYTECODE_MANIFEST.name, "root")]
    assert first.startswith("FROM case:v1\n")
    assert second.startswith("FROM case:v1-forge\n")
    assert second.endswith("USER chutes\nENTRYPOINT []\n")


def test_the_guard_is_copied_and_not_preloaded() -> None:
    first, second = make_dockerfiles("case:v1")
    assert f"/chutes-aegis.so {platform_rules.GUARD_LIBRARY}" in first
    assert "ENV LD_PRELOAD=\n" in first
    assert "LD_PRELOAD=/" not in first + second
    # A vendor's is lost, since the forge writes its own.
    assert "RUN rm -f /etc/ld.so.preload" in second.splitlines()
    assert (first + second).count("ld.so.preload") == 1


def test_the_platforms_sdk_is_installed_whatever_the_users_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    assert f"pip install chutes=={platform_rules.PLATFORM_SDK_VERSION} " in make_dockerfiles("case:v1")[0]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("chutes-wrappers: forge: inspection", "inspection"),
        ("#8 0.512 chutes-wrappers: forge: inspection", "inspection"),
        ("\x1b[91mchutes-wrappers: forge: inspection\x1b[0m", "inspection"),
        # Builders print the command before they run it.
        (f"Step 4/8 : RUN echo 'chutes-wrappers: forge: inspection' && {INSPECTION.command}", None),
        ("#8 [3/9] RUN echo 'chutes-wrappers: forge: inspection'", None),
        ("chutes-wrappers: forge: another", None),
        ("", None),
    ],
)
def test_a_stage_begins_with_its_line_of_output(line: str, name: str | None) -> None:
    stage = find_stage(line)
    assert (stage.name if stage else None) == name


FAILED_COMMAND = "The command '/bin/sh -c …' returned a non-zero code: 1"


def fail_at(failing: str, reason: str = FAILED_COMMAND) -> Callable[[Path, str, bool, OnLine], None]:
    """Return a build that fails in a stage for ``reason``, its last line; "" fails before the first one."""

    def build(folder: Path, reference: str, has_network: bool, on_line: OnLine) -> None:
        on_line("Step 1/8")
        for stage in STAGES:
            if failing and f"'chutes-wrappers: forge: {stage.name}'" in (folder / "Dockerfile").read_text():
                on_line(f"chutes-wrappers: forge: {stage.name}")
                on_line(f"output of {stage.name}")
                if stage.name == failing:
                    on_line(reason)
                    raise WrapperError("exit code 1")
        if not failing:
            raise WrapperError("no such image")

    return build


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_failure_names_its_stage_the_output_and_the_fix(stage: forge_stages.Stage) -> None:
    lines: list[str] = []
    with pytest.raises(StageFailed) as caught:
        build_forge_image("case:v1", fail_at(stage.name), lines.append)
    assert f"the forge would fail at its stage '{stage.name}'" in caught.value.what
    assert caught.value.where == "case:v1"
    assert caught.value.evidence == f"chutes-wrappers: forge: {stage.name}\noutput of {stage.name}\n{FAILED_COMMAND}"
    assert caught.value.next_step == stage.fix
    assert caught.value.exit_code == 1
    assert lines[-1] == FAILED_COMMAND


def test_the_known_status_of_the_platform_is_shown() -> None:
    with pytest.raises(StageFailed, match="with the status error: Failed to install chutes library into image!"):
        build_forge_image("case:v1", fail_at("SDK installation"), print)


@pytest.mark.parametrize(
    ("reason", "is_of_stage"),
    [
        ("The command '/bin/sh -c echo' returned a non-zero code: 139", True),
        ('ERROR: process "/bin/sh -c echo" did not complete successfully: exit code: 1', True),
        ('Error: building at STEP "RUN echo": while running runtime: exit status 1', True),
        ("error during connect: EOF", False),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", False),
        ("no space left on device", False),
    ],
)
def test_a_stage_fails_only_by_its_command_and_not_by_the_engine(reason: str, is_of_stage: bool) -> None:
    with pytest.raises(WrapperError) as caught:
        build_forge_image("case:v1", fail_at("inspection", reason), print)
    assert isinstance(caught.value, StageFailed) is is_of_stage


def test_a_build_that_reaches_no_stage_fails_with_its_own_reason() -> None:
    with pytest.raises(WrapperError, match="no such image") as caught:
        build_forge_image("case:v1", fail_at(""), print)
    assert not isinstance(caught.value, StageFailed)


def test_only_the_second_build_has_no_network_and_no_folder_remains(tmp_path: Path) -> None:
    builds: list[tuple[Path, str, bool]] = []
    reference = build_forge_image("case:v1", lambda *arguments: builds.append(arguments[:3]), print)
    assert [(name, has_network) for _, name, has_network in builds] == [(reference, True), (reference, False)]
    assert not any(folder.exists() for folder, *_ in builds)


def test_what_is_not_public_is_counted() -> None:
    assert forge_stages.describe_unknown_steps() == (
        "3 of the forge's steps are not public and were not run: the index of every file, the security scan and the signature"
    )
