from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules

from .module_texts import CODE, assert_one_problem, build_description, check_module

WITHOUT = {**build_description()["image"], "holds_toolkit": False}
NAMED: dict[str, Any] = {"name": "tester/case:v1", "tag": "", "holds_toolkit": None, "env": [], "bases": []}


def test_a_valid_module_has_no_problem() -> None:
    assert check_module() == []


@pytest.mark.parametrize("name", ["deploy-case.py", "Deploy.py", "1case.py", "case.txt"])
def test_the_file_name_of_a_module(name: str) -> None:
    assert_one_problem(check_module(path=f"/x/{name}"), name, "rename it")


def test_a_module_may_have_150_000_characters_and_not_one_more() -> None:
    longest = CODE + "#" * (platform_rules.MAX_SOURCE_LENGTH - len(CODE))
    assert len(longest) == 150_000
    assert check_module(code=longest) == []
    assert_one_problem(check_module(code=longest + "#"), "150,001", "150,000", "thin")


def test_the_length_counts_characters_and_not_bytes() -> None:
    assert check_module(code=CODE + "#" + "é" * 100_000) == []


def test_postponed_annotations_are_named_with_their_line() -> None:
    code = '"""Says so."""\nfrom __future__ import division, annotations\n' + CODE
    assert_one_problem(check_module(code=code), "line 2", "from __future__ import annotations", severity="warning")


def test_another_future_is_no_problem() -> None:
    assert check_module(code="from __future__ import division\n" + CODE) == []


@pytest.mark.parametrize(
    "code",
    [
        "import tools.chute_wrappers",
        "from tools import chute_wrappers",
        "def f():\n    from chutes_wrappers.sdk.username import chutes_username",
    ],
)
def test_an_image_without_our_package_is_reported(code: str) -> None:
    assert_one_problem(check_module(code=code, image=WITHOUT), "does not contain", "build_wrapper_image")
    assert check_module(code=code) == []


def test_the_content_of_an_image_reference_is_unknown() -> None:
    assert_one_problem(check_module(image=NAMED), "may not contain", "build_wrapper_image", severity="warning")


@pytest.mark.parametrize("code", ["import toolshed", "from .tools import x", "tools = 1", "from mytools import tools"])
def test_imports_of_other_packages_are_ignored(code: str) -> None:
    assert check_module(code=code, image=WITHOUT) == []


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "API_KEY", "ADMIN_PASSWORD", "CLIENT_SECRET_V2", "openai_api_key", "token"]
)
@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=12))
def test_a_secret_in_the_file_is_reported_without_its_value(name: str, value: str) -> None:
    code = f"{CODE}CHUTE_ENV = {{{name!r}: {value!r}}}\n"
    problems = check_module(code=code, env={name: value})
    assert_one_problem(problems, name, f"--secret case {name}", severity="warning")
    assert value not in repr(problems)


def test_a_secret_in_the_variables_of_the_image() -> None:
    image = {**build_description()["image"], "env": ["PATH", "HF_TOKEN"]}
    assert_one_problem(check_module(image=image, env={"HF_TOKEN": "hf_from_here"}), "HF_TOKEN", severity="warning")


def test_a_secret_from_the_environment_is_not_in_a_layer() -> None:
    code = CODE + 'import os\nCHUTE_ENV = {"HF_TOKEN": os.environ.get("HF_TOKEN", "")}\n'
    assert check_module(code=code, env={"HF_TOKEN": "hf_from_here"}) == []


@pytest.mark.parametrize(
    ("name", "value"), [("HF_TOKEN", ""), ("MAX_TOKENS", "512"), ("TOKENIZER", "bpe"), ("MONKEY", "x"), ("KEYS", "88")]
)
def test_variables_without_a_secret(name: str, value: str) -> None:
    assert check_module(code=f"{CODE}CHUTE_ENV = {{{name!r}: {value!r}}}\n", env={name: value}) == []


def test_a_syntax_error_is_the_only_problem_of_the_source_and_has_its_line() -> None:
    assert_one_problem(check_module(code="x = 1\ndef f(:\n"), "line 2", "not valid Python", rule="module-syntax")
    assert_one_problem(check_module(code="x = 1\0"), "not valid Python", rule="module-syntax")


def test_code_that_the_watchtower_may_ban_is_a_warning() -> None:
    obfuscated = CODE + "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))\n"
    constant = CODE + "@chute.cord()\ndef speak(self):\n    return {'ok': True}\n"
    assert_one_problem(check_module(code=obfuscated), "decodes text and runs it", "watchtower", severity="warning")
    assert_one_problem(check_module(code=constant), "'speak' returns a constant", "may ban", severity="warning")
    assert check_module(code=CODE + "import base64\nbase64.b64decode('cA==')\n") == []


def test_a_byte_order_mark_is_invalid_syntax_for_the_platform_only() -> None:
    code = "\ufeff" + CODE
    assert_one_problem(check_module(code=code), "byte order mark", "line 1", "without", rule="module-syntax")
    with pytest.raises(SyntaxError):
        ast.parse(code)  # as the API does


def test_a_file_that_is_not_utf_8_cannot_be_uploaded() -> None:
    code = (CODE + "# caf\u00e9\n").encode("latin-1").decode(errors="surrogateescape")
    assert_one_problem(check_module(code=code), "not UTF-8", "line 2", rule="")
    assert check_module(code=CODE + "# caf\u00e9\n") == []
