"""The variables that replace stored secrets on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import parse_headers
from chutes_wrappers.host.modules.header_variables import read_header_variables, read_instance_secrets, resolve_headers
from chutes_wrappers.host.modules.module_facts import ModuleFacts


def build_facts(headers: Any, **env: str) -> ModuleFacts:
    return ModuleFacts(
        path=Path("/x/deploy_case.py"),
        chute_name="case",
        chute_tag="v1",
        base_image="base",
        service_ports=(8020,),
        env=env,
        headers=parse_headers(headers, "/x/deploy_case.py"),
    )


def test_missing_ones_are_named_with_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "")
    monkeypatch.delenv("KEY_B", raising=False)
    with pytest.raises(ConfigurationError, match="KEY_A, KEY_B are not set in your environment") as caught:
        read_header_variables(build_facts({"X-A": "${KEY_A} ${KEY_B}"}))
    assert "export KEY_A" in str(caught.value)
    assert "--secret case KEY_A" in str(caught.value)


def test_no_service_gets_the_seed_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTES_HOTKEY_SEED", "0xsecret")
    with pytest.raises(ConfigurationError, match="CHUTES_HOTKEY_SEED is a secret of your account") as caught:
        resolve_headers(build_facts({"X-A": "${CHUTES_HOTKEY_SEED}"}))
    assert "0xsecret" not in str(caught.value)


def test_settings_of_a_command_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "of the environment")
    facts = build_facts({"X-A": "${KEY_A}"})
    assert read_header_variables(facts, {"KEY_A": "of the flag"}) == {"KEY_A": "of the flag"}
    assert resolve_headers(facts).select(8020) == {"X-A": "of the environment"}


def test_an_instance_also_gets_secrets_that_its_module_reads_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"KEY_A": "a", "HF_TOKEN": "b", "API_KEY": "c", "MODEL": "d", "LD_TOKEN": "e"}.items():
        monkeypatch.setenv(name, value)
    facts = build_facts({"X-A": "${KEY_A}"}, HF_TOKEN="b", API_KEY="literal", MODEL="d", LD_TOKEN="e")
    assert read_instance_secrets(facts) == {"KEY_A": "a", "HF_TOKEN": "b"}
