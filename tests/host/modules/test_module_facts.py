from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_facts import read_literals, read_module

LITERAL = """
CHUTE_NAME = "thing"
CHUTE_TAG = "v1.0.0"
CHUTE_BASE_IMAGE = "vendor/thing:latest"
SERVICE_PORTS = [8020, 8080]
"""
OPTIONAL = """
CHUTE_ENV = {"MODEL": "large", "THREADS": 4}
CHUTE_STATIC_ROUTES = [{"path": "/a", "method": "GET", "port": 8080}]
CHUTE_TAGLINE = "says things"
ENTRYPOINT = ["/start.sh", "-x"]
"""
NOT_RUN = "raise SystemExit('the module was run')\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deploy_thing.py"


def test_literals_are_read_without_running_the_module(path: Path) -> None:
    path.write_text(LITERAL + OPTIONAL + NOT_RUN)
    facts = read_module(path)
    assert (facts.name, facts.chute_name, facts.chute_tag) == ("deploy_thing", "thing", "v1.0.0")
    assert facts.base_image == "vendor/thing:latest"
    assert facts.service_ports == (8020, 8080)
    assert facts.env == {"MODEL": "large", "THREADS": "4"}
    assert facts.static_routes == ({"path": "/a", "method": "GET", "port": 8080},)
    assert facts.tagline == "says things"
    assert facts.entrypoint == ("/start.sh", "-x")
    assert facts.manifest_path == path.with_name("deploy_thing.routes.json")


@pytest.mark.parametrize("value", ['"files,root"', '["files", "root"]', '("root", "files")', '{"root", "files"}'])
def test_categories_that_the_module_exposes_are_read(path: Path, value: str) -> None:
    path.write_text(f"{LITERAL}CHUTE_EXPOSE = {value}\n{NOT_RUN}")
    assert read_module(path).expose == {"files", "root"}


def test_an_unknown_category_is_named_with_the_module(path: Path) -> None:
    path.write_text(f"{LITERAL}CHUTE_EXPOSE = 'file'\n")
    with pytest.raises(ConfigurationError, match="'file' is not a category that can be exposed") as caught:
        read_module(path)
    assert str(caught.value.where) == f"{path}, CHUTE_EXPOSE"


def test_optional_variables_have_defaults(path: Path) -> None:
    path.write_text(LITERAL + NOT_RUN)
    facts = read_module(path)
    assert (facts.env, facts.static_routes, facts.tagline, facts.entrypoint) == ({}, (), "", None)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nCHUTE_ENV = {'MODEL': os.environ['CASE_MODEL']}\n",
        "CHUTE_ENV = {}\nCHUTE_ENV['MODEL'] = 'large'\n",
        "CHUTE_ENV = {}\nCHUTE_ENV.update(MODEL='large')\n",
        "CHUTE_ENV, other = {'MODEL': 'large'}, 1\n",
        "if True:\n    CHUTE_ENV = {'MODEL': 'large'}\n",
        "CHUTE_ENV = {'MODEL': 'small'}\nCHUTE_ENV = {'MODEL': 'large'}\n",
    ],
)
def test_computed_variables_are_read_by_running_it(path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MODEL", "large")
    path.write_text(LITERAL + source + "print('noise on standard output')\n")
    assert read_module(path).env == {"MODEL": "large"}


def test_unknown_keys_of_static_routes_are_reported(path: Path) -> None:
    path.write_text(LITERAL + "CHUTE_STATIC_ROUTES = [{'path': '/a', 'prot': 1}, {'path': '/b', 'prot': 2}]\n")
    reports: list[str] = []
    read_module(path, reports.append)
    assert reports == ["deploy_thing.py, CHUTE_STATIC_ROUTES: ignoring unknown keys: prot (did you mean port?)"]


def test_a_variable_that_is_not_a_plain_value_is_named_without_its_value(path: Path) -> None:
    path.write_text(LITERAL + "CHUTE_ENV = dict(TOKEN=[object(), 'canary'])\n")
    with pytest.raises(ConfigurationError, match=r"deploy_thing\.py: CHUTE_ENV must contain only") as caught:
        read_module(path)
    assert "canary" not in str(caught.value)


def test_a_module_that_exits_is_reported_as_such(path: Path) -> None:
    path.write_text(LITERAL + "import os, sys\nos.write(1, b'noise')\nCHUTE_ENV = dict(A='1')\n")
    assert read_module(path).env == {"A": "1"}
    path.write_text(LITERAL + "import sys\nCHUTE_ENV = dict(A='1')\nsys.exit(0)\n")
    with pytest.raises(ConfigurationError, match="ended the process itself"):
        read_module(path)


def test_a_module_is_run_without_registering_routes_or_needing_an_account(path: Path) -> None:
    path.write_text(LITERAL + "import os\nCHUTE_TAGLINE = os.environ['CHUTES_SKIP_ROUTE_REGISTRATION'] + 'x'\n")
    assert read_module(path).tagline == "1x"


def test_a_syntax_error_names_the_file_and_the_line(path: Path) -> None:
    path.write_text(LITERAL + "def broken(:\n")
    with pytest.raises(ConfigurationError, match=r"deploy_thing\.py, line 6: syntax error"):
        read_module(path)


def test_a_module_that_raises_shows_its_last_lines(path: Path) -> None:
    path.write_text(LITERAL + "import os\nCHUTE_ENV = os.environ.copy()\nraise RuntimeError('no such luck')\n")
    with pytest.raises(ConfigurationError, match="no such luck"):
        read_module(path)


@pytest.mark.parametrize("name", ["CHUTE_NAME", "CHUTE_TAG", "CHUTE_BASE_IMAGE", "SERVICE_PORTS"])
def test_a_missing_required_variable_is_named(path: Path, name: str) -> None:
    path.write_text("".join(line + "\n" for line in LITERAL.splitlines() if not line.startswith(name)))
    with pytest.raises(ConfigurationError, match=name):
        read_module(path)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("SERVICE_PORTS = [8020, 70000]", r"SERVICE_PORTS\[1\] is 70000"),
        ("SERVICE_PORTS = ['8020']", r"SERVICE_PORTS\[0\] is '8020'"),
        ("SERVICE_PORTS = [8020, 8020]", "twice"),
        ("SERVICE_PORTS = []", "SERVICE_PORTS"),
        ("SERVICE_PORTS = 8020", "SERVICE_PORTS"),
        ("CHUTE_NAME = 7", "CHUTE_NAME is 7"),
        ("CHUTE_ENV = ['A=1']", "CHUTE_ENV"),
        ("CHUTE_ENV = {'A': None}", r"CHUTE_ENV\['A'\]"),
        ("CHUTE_STATIC_ROUTES = {}", "CHUTE_STATIC_ROUTES"),
        ("ENTRYPOINT = 7", "ENTRYPOINT"),
    ],
)
def test_an_invalid_value_is_reported_with_the_file(path: Path, line: str, part: str) -> None:
    name = line.split(" ")[0]
    lines = [text for text in (LITERAL).splitlines() if not text.startswith(name)]
    path.write_text("\n".join([*lines, line, ""]))
    with pytest.raises(ConfigurationError, match=part) as caught:
        read_module(path)
    assert str(path) in str(caught.value)
    assert caught.value.next_step


def test_values_of_the_environment_are_in_no_repr_and_no_error(path: Path) -> None:
    path.write_text(LITERAL + "CHUTE_ENV = {'TOKEN': 'canary'}\n")
    assert "canary" not in repr(read_module(path))
    path.write_text(LITERAL + "CHUTE_ENV = ['canary']\n")
    with pytest.raises(ConfigurationError) as caught:
        read_module(path)
    assert "canary" not in str(caught.value)


def test_a_null_byte_is_an_error_without_a_line_number(path: Path) -> None:
    path.write_bytes(LITERAL.encode() + b"\0")
    with pytest.raises(ConfigurationError, match="null bytes") as caught:
        read_module(path)
    assert "None" not in str(caught.value)
    assert caught.value.next_step


@given(st.text(max_size=200))
def test_arbitrary_source_is_read_or_rejected(tmp_path_factory: pytest.TempPathFactory, source: str) -> None:
    path = tmp_path_factory.mktemp("modules") / "deploy_x.py"
    path.write_bytes(source.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(ConfigurationError):
        read_module(path)


@pytest.mark.parametrize(
    "line", ["CHUTE_ENV = {'A': 'canary' 'B': 1 2}", "CHUTE_ENV = {'A': 'canary', 'B': undefined}"]
)
def test_an_error_does_not_quote_the_source_which_may_hold_a_secret(path: Path, line: str) -> None:
    path.write_text(LITERAL + line + "\n")
    with pytest.raises(ConfigurationError) as caught:
        read_module(path)
    assert "canary" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_settings_of_the_parity_check_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "deploy_m.py"
    path.write_text(f'{LITERAL}CHUTE_EXAMPLES = {{"POST /a": {{"x": 1}}}}\nHOST_ENTRYPOINT = ["run", "it"]\n{NOT_RUN}')
    facts = read_module(path)
    assert facts.examples == {"POST /a": {"x": 1}}
    assert facts.host_entrypoint == ("run", "it")
    path.write_text(f"{LITERAL}CHUTE_EXAMPLES = {{'/a': {{}}}}\n{NOT_RUN}")
    with pytest.raises(ConfigurationError, match="CHUTE_EXAMPLES"):
        read_module(path)


def test_a_source_larger_than_python_can_parse_cheaply_is_not_read(tmp_path: Path) -> None:
    module = tmp_path / "deploy_x.py"
    with module.open("wb") as opened:
        opened.truncate(2**40)
    with pytest.raises(ConfigurationError, match=r"cannot be read \(it is larger than 2 MiB\)"):
        read_literals(module)


def test_headers_are_read_and_a_variable_of_the_environment_is_refused(path: Path) -> None:
    path.write_text(LITERAL + 'CHUTE_HEADERS = {"X-Key": "${KEY}", 8020: {"X-Key": "literal-value"}}\n' + NOT_RUN)
    facts = read_module(path)
    assert (facts.headers.variables, facts.headers.select(8020)) == (("KEY",), {"X-Key": "literal-value"})
    assert "literal-value" not in repr(facts)
    path.write_text(path.read_text() + 'CHUTE_ENV = {"KEY": "secret-value"}\n')
    with pytest.raises(ConfigurationError, match="KEY is in CHUTE_ENV") as caught:
        read_module(path)
    assert str(path) in str(caught.value)
    assert "--secret thing KEY" in str(caught.value)
    assert "secret-value" not in str(caught.value)
