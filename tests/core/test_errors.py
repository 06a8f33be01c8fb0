from __future__ import annotations

import pytest

from chutes_wrappers.core import errors
from chutes_wrappers.core.errors import ConfigurationError, WrapperError, error_from_data


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (WrapperError, 1),
        (ConfigurationError, 2),
        (errors.EngineUnavailable, 1),
        (errors.ImageMissing, 1),
        (errors.UnsupportedImage, 1),
        (errors.ServiceFailed, 1),
    ],
)
def test_wrong_input_ends_with_2_and_a_failed_operation_with_1(kind: type[WrapperError], code: int) -> None:
    assert kind("x").exit_code == code
    assert isinstance(kind("x"), WrapperError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (WrapperError("it failed"), "it failed"),
        (WrapperError("it failed", where="a.py"), "a.py: it failed"),
        (WrapperError("it failed", evidence="line 1\nline 2"), "it failed\nline 1\nline 2"),
        (WrapperError("it failed", next_step="try again"), "it failed\nNext: try again"),
        (
            WrapperError("it failed", where="a.py", evidence="seen", next_step="try again"),
            "a.py: it failed\nseen\nNext: try again",
        ),
        (WrapperError("it failed", where="", evidence="", next_step=""), "it failed"),
    ],
)
def test_an_error_has_message_place_evidence_and_next_step(error: WrapperError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("kind", [WrapperError, ConfigurationError])
@pytest.mark.parametrize("where", [None, "a.py"])
def test_an_error_is_serialized_for_another_process(kind: type[WrapperError], where: str | None) -> None:
    error = kind("it failed", where=where, evidence="seen", next_step="try again")
    restored = error_from_data(error.to_data())
    assert type(restored) is kind
    assert (str(restored), restored.to_data()) == (str(error), error.to_data())
    assert error.to_data() == {
        "what": "it failed",
        "where": where,
        "evidence": "seen",
        "next_step": "try again",
        "exit_code": kind.exit_code,
    }


def test_an_error_of_another_kind_arrives_as_the_general_one() -> None:
    assert type(error_from_data(errors.ImageMissing("x").to_data())) is WrapperError
    assert str(error_from_data({})) == "failed"
