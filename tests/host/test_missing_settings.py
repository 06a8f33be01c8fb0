"""Last lines of services that end for want of a setting, and of services that are broken."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.missing_settings import find_missing_setting

PYDANTIC = "1 validation error for Settings\nmaster_key\n  {required}"


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("Traceback\nKeyError: 'X_API_KEY'", "X_API_KEY"),
        ("ValueError: LITELLM_MASTER_KEY is not set", "LITELLM_MASTER_KEY"),
        ('EnvError: Environment variable "GITHUB_TOKEN" not set', "GITHUB_TOKEN"),
        ("Exception: environment variable 'DATABASE_URL' is required", "DATABASE_URL"),
        ("Error: You must specify POSTGRES_PASSWORD to a non-empty value", "POSTGRES_PASSWORD"),
        ("/entry.sh: line 3: API_TOKEN: unbound variable", "API_TOKEN"),
        ("/entry.sh: 3: API_TOKEN: parameter not set", "API_TOKEN"),
        ("OpenAIError: pass api_key, or do it by setting the OPENAI_API_KEY environment variable", "OPENAI_API_KEY"),
        ("ImproperlyConfigured: Set the SECRET_KEY environment variable", "SECRET_KEY"),
        ("Missing required environment variable: SECRET_KEY\n    at main (/app/x.js:1)", "SECRET_KEY"),
        ("Error: specify one of these environment variables:\n  - MYSQL_ROOT_PASSWORD\n", "MYSQL_ROOT_PASSWORD"),
        (PYDANTIC.format(required="Field required [type=missing, input_value={}]"), "MASTER_KEY"),
        (PYDANTIC.format(required="field required (type=value_error.missing)"), "MASTER_KEY"),
        ("OSError: You are trying to access a gated repo.", "HF_TOKEN"),
        ("Error: Missing API key", ""),
    ],
)
def test_the_variable_is_named(output: str, name: str) -> None:
    missing = find_missing_setting(output.splitlines())
    assert missing is not None
    assert missing.name == name


@pytest.mark.parametrize(
    "output",
    [
        "",
        "WARNING: HF_TOKEN is not set, so downloads are slower\nSegmentation fault",
        "KeyError: 'name'",
        "RuntimeError: CUDA_ERROR_NO_DEVICE",
        "OutOfMemoryError: see PYTORCH_CUDA_ALLOC_CONF",
        "FileNotFoundError: [Errno 2] No such file or directory: '/models/x'",
    ],
)
def test_a_broken_service_is_not_taken_for_one(output: str) -> None:
    assert find_missing_setting(output.splitlines()) is None


def test_the_step_depends_on_whether_the_value_is_a_secret() -> None:
    secret = find_missing_setting(["API_KEY is not set"])
    plain = find_missing_setting(["MODEL_NAME is not set"])
    assert secret is not None
    assert plain is not None
    assert 'CHUTE_HEADERS = {"Authorization": "Bearer ${API_KEY}"}' in secret.suggest_step("ocr")
    assert "--secret ocr API_KEY" in secret.suggest_step("ocr")
    assert plain.suggest_step("ocr") == 'set it in the module: CHUTE_ENV = {"MODEL_NAME": "…"}'


@pytest.mark.parametrize("text", ["need " * 100 + "the " * 100, "missing " + "the env: " * 100, "A_A is " * 100])
def test_a_long_line_is_searched_in_short_time(text: str) -> None:
    """A pattern whose time grows with a power of the length would take minutes for these."""
    assert find_missing_setting([text] * 40) is None
