"""No text of a service, image, chute, file or argument controls the terminal: real pseudo-terminals, and a scan of the source."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chutes_wrappers
from chutes_wrappers.emulator import accounts
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.commands import Commands
from tests.fork_server import SCRIPT
from tests.hostile_text import ATTACK, FORGED, show
from tests.scenario import Scenario, make_environment
from tests.upstreams.scripted import JSON_TYPE, Reply, json_reply, serve_script

PACKAGE = Path(str(chutes_wrappers.__file__)).parent
DISCOVER = "chutes_wrappers.cli.discover_routes:main"

# Each statement prints ATTACK in its way.
_OUTPUT = [
    "output.report(ATTACK)",
    "output.show(ATTACK)",
    "output.warning(ATTACK)",
    "output.success(ATTACK)",
    "output.print_heading(ATTACK)",
    "output.log(ATTACK)",
    "output.report_next_step(ATTACK)",
    "output.print_line(ATTACK)",
    "output.print_columns([ATTACK, 'b'])",
    "output.print_table([ATTACK, ''], [[ATTACK, 'b']])",
    "output.error(WrapperError(ATTACK, where=ATTACK, evidence=ATTACK, next_step=ATTACK))",
    "output.run(fail)",
    "with output.show_status(ATTACK): time.sleep(0.2)",
    "with output.show_status('x'): warnings.warn(ATTACK.replace(chr(10), ''))",
    "with output.Progress(ATTACK) as progress: progress.add_line(ATTACK); time.sleep(0.2)",
    "with output.Progress(ATTACK, verbose=True) as progress: progress.add_line(ATTACK)",
    "with output.LiveTable() as table: table.show(ATTACK, [ATTACK], [[ATTACK]], is_changed=True)",
    "output.show_usage_error(click.UsageError(ATTACK))",
]
# These may have several lines: a result, and what libraries write.
_BLOCKS = [
    "output.print_result(ATTACK)",
    "output.write_data([ATTACK.encode()[:21], ATTACK.encode()[21:]])",
    "output.write_data([bytes(range(256))])",
    "print(ATTACK)",
    "click.echo(ATTACK)",
    "sys.stderr.writelines([ATTACK])",
    "warnings.warn(ATTACK)",
    "logging.getLogger('x').warning(ATTACK)",
    "logger.remove(); logger.add(sys.stderr); logger.info(ATTACK)",
    "threading.Thread(target=fail).start()",
    "sys.excepthook(ValueError, ValueError(ATTACK), None)",
    "sys.exit(ATTACK)",
]
_SCRIPT = """
import logging, sys, threading, time, warnings
from chutes_wrappers.core.terminal_stream import guard_streams
guard_streams()
import click
from loguru import logger
from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import WrapperError
ATTACK = {attack!r}
def fail():
    raise ValueError(ATTACK)
{statement}
"""


@pytest.mark.parametrize("statement", _OUTPUT)
def test_a_message_is_one_line_that_controls_nothing(statement: str, tmp_path: Path) -> None:
    show([_SCRIPT.format(attack=ATTACK, statement=statement)], target=SCRIPT, folder=tmp_path)


@pytest.mark.parametrize("statement", _BLOCKS)
def test_what_a_library_writes_controls_nothing(statement: str, tmp_path: Path) -> None:
    show([_SCRIPT.format(attack=ATTACK, statement=statement)], target=SCRIPT, folder=tmp_path, is_one_line=False)


@pytest.mark.parametrize(
    ("statement", "typed"),
    [
        ("prompts.read_line(ATTACK)", "x"),
        ("prompts.read_line(ATTACK, hidden=True)", "x"),
        ("prompts.ask_text('name', ATTACK)", "x"),
        ("prompts.ask_yes_no(ATTACK)", "y"),
        ("prompts.confirm(ATTACK)", "y"),
        ("prompts.ask_value(ATTACK, 3, click.INT)", "4"),
    ],
)
def test_a_question_and_its_default_control_nothing(statement: str, typed: str, tmp_path: Path) -> None:
    script = _SCRIPT.format(attack=ATTACK, statement=statement)
    assert r"\x1b]52" in show([script], target=SCRIPT, folder=tmp_path, typed=[(":key:>", typed)])


def test_hidden_text_is_visible_as_escapes_and_markup_is_text(tmp_path: Path) -> None:
    script = _SCRIPT.format(attack=ATTACK, statement="output.warning(ATTACK)")
    visible = show([script], target=SCRIPT, folder=tmp_path)
    assert visible == (
        r"! <\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07\x1b[2J\x1b[8m\x9b3J\x90q\x9c\u202egnp\u2066\u200bz\x08\r\n"
        rf"{FORGED}\n[red]:key:>"
        "\n"
    )


def test_a_stream_on_a_terminal_is_complete_wherever_it_is_split(tmp_path: Path) -> None:
    statement = r"output.write_data([b'a\r', b'\nb\r\n', b'c\xc3', b'\xa9d', b'\xc3'])"
    visible = show([_SCRIPT.format(attack=ATTACK, statement=statement)], target=SCRIPT, folder=tmp_path)
    assert visible.splitlines() == ["a", "b", "c\u00e9d\ufffd"]


def test_the_colours_of_log_lines_are_removed(tmp_path: Path) -> None:
    statement = (
        "logger.remove(); logger.add(sys.stderr, format='<red>{message}</red>', colorize=True); logger.info('red')"
    )
    assert show([_SCRIPT.format(attack=ATTACK, statement=statement)], target=SCRIPT, folder=tmp_path) == "red\n"


def test_a_result_in_a_pipe_is_exact(tmp_path: Path) -> None:
    for statement in ("output.write_data([ATTACK.encode()])", "output.print_result(ATTACK)"):
        ran = Commands(tmp_path, make_environment(), SCRIPT).run(_SCRIPT.format(attack=ATTACK, statement=statement))
        assert ran.stdout.removesuffix("\n") == ATTACK


def test_arguments_and_file_names_control_nothing(tmp_path: Path) -> None:
    for arguments in ([ATTACK], [f"--{ATTACK}"], ["--build", ATTACK], ["--help", ATTACK], ["--cost", f"{ATTACK}/x.py"]):
        assert r"\x1b]52" in show(arguments, folder=tmp_path), arguments
    show(["--completion", ATTACK], folder=tmp_path)
    show([f"--{ATTACK}"], folder=tmp_path, target=DISCOVER, is_one_line=False)
    folder = tmp_path / ATTACK
    folder.mkdir()
    (folder / "deploy_x.py").write_text("CHUTE_NAME = \n")
    (folder / f"deploy_{ATTACK}.py").touch()
    assert r"\x1b]52" in show(["--cost", "deploy_x"], folder=folder)
    assert r"deploy_<\x1b]0;" in show(["--doctor"], folder=folder)


def test_modules_and_manifests_control_nothing(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "hostile", "vendor/unused:1", [9090])
    manifest = tmp_path / "deploy_hostile.routes.json"
    route = {"path": "/a", "method": "GET", "port": 9090}
    for content in (
        {"version": ATTACK},
        {"version": 1, "routes": [{**route, ATTACK: 1}]},
        {"version": 1, "routes": [{**route, "path": ATTACK}]},
        {"version": 1, "routes": [{**route, "method": ATTACK}]},
        {"version": 1, "routes": [route], "image": {"reference": ATTACK}},
        {"version": 1, "routes": [route], "skipped": [{"path": ATTACK, "method": "GET", "reason": ATTACK}]},
    ):
        manifest.write_text(json.dumps(content))
        show(["--doctor"], folder=tmp_path)
        show(["--build", "deploy_hostile", "--local"], folder=tmp_path)
    source = scenario.module.read_text()
    for old, new in (("'hostile'", repr(ATTACK)), ("'vendor/unused:1'", repr(ATTACK)), ('"v1"', repr(ATTACK))):
        scenario.module.write_text(source.replace(old, new) + f"\nraise ValueError({ATTACK!r})\n")
        show(["--doctor", "deploy_hostile"], folder=tmp_path)
        show([], folder=tmp_path, typed=[("What to do", "3"), ("Module", "b"), ("What to do", "q")])


def test_variables_of_the_environment_control_nothing(tmp_path: Path) -> None:
    Scenario(tmp_path, "case", "vendor/unused:1", [9090])
    for name in ("CHUTES_API_URL", "CHUTES_CONFIG_PATH", "CHUTES_USERNAME", "CHUTES_API_TIMEOUT", "DOCKER_HOST"):
        for arguments in (["--doctor"], ["--list-chutes"], ["--build", "deploy_case", "--local"]):
            show(arguments, folder=tmp_path, variables={name: ATTACK.replace("\x00", "")})


@pytest.mark.parametrize(
    "url", ["/\x1b]0;t\x07\x1b]52;c;cm0=\x07", "/%1b]0;t%07%1b]52;c;cm0=%07", "http://x.example/%1b]52;%0a%c2%9b"]
)
def test_the_servers_of_a_specification_control_nothing(url: str, tmp_path: Path) -> None:
    document = {"openapi": "3.1.0", "servers": [{"url": url, "description": ATTACK}], "paths": {"/ok": {"get": {}}}}
    script = {"/openapi.json": json_reply(document), "/ok": json_reply({})}
    with serve_script(script) as service:
        arguments = ["--base-url", service.root, "--output", str(tmp_path / "m.json")]
        assert r"declares the path prefix /\x1b]" in show(arguments, target=DISCOVER, folder=tmp_path)


def test_a_specification_controls_nothing(tmp_path: Path) -> None:
    operation = {"operationId": ATTACK, "summary": ATTACK, "responses": {"200": {"description": ATTACK}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": ATTACK, "version": ATTACK},
        "paths": {f"/{ATTACK}": {ATTACK: operation, "trace": operation}, f"/{{{ATTACK}": {"get": operation}},
    }
    other = {"swagger": ATTACK, "openapi": ATTACK}
    page = Reply(body='<script>ui({url: "//x.example/\x1b]0;t\x07\u202e"})</script>'.encode(), content_type="text/html")
    arguments = ["--base-url", "", "--startup-delay", "0.1", "--probe-timeout", "0.1"]
    for script in ({"/openapi.json": json_reply(document)}, {"/openapi.json": json_reply(other), "/docs": page}):
        with serve_script(script) as service:
            arguments[1] = service.root
            assert r"\u202e" in show(arguments, target=DISCOVER, folder=tmp_path), script


def _reply_stream() -> Iterator[bytes]:
    yield f"data: {ATTACK}\n\n".encode()[:20]
    yield f"data: {ATTACK}\n\n".encode()[20:]


@pytest.mark.parametrize(
    ("reply", "is_one_line"),
    [
        (Reply(body=ATTACK.encode(), content_type="text/plain"), False),
        (Reply(body=ATTACK.encode(), content_type="text/plain; charset=latin-1"), False),
        (Reply(body=json.dumps({ATTACK: [ATTACK]}, ensure_ascii=False).encode()), True),
        (Reply(body=json.dumps(ATTACK).encode()), True),
        (Reply(body=f"data: {ATTACK}\n\n".encode(), content_type="text/event-stream"), False),
        (Reply(body=ATTACK.encode(), content_type="application/\x1b]0;t\x07"), True),
        (Reply(status=500, body=ATTACK.encode(), content_type="text/plain"), True),
        (Reply(status=500, body=json.dumps({"detail": ATTACK}).encode()), True),
        (Reply(status=400, body=json.dumps({"detail": [{"msg": ATTACK}]}).encode(), content_type=JSON_TYPE), True),
        (Reply(status=307, headers={"Location": "http://\x1b]0;t\x07"}), True),
    ],
)
def test_a_chutes_response_controls_nothing(reply: Reply, is_one_line: bool, tmp_path: Path) -> None:
    with serve_script({}, otherwise=reply) as chute:
        for flags in ([], ["--json"]):
            show(
                ["--call", "case", "/a", "--url", chute.root, *flags],
                folder=tmp_path,
                is_one_line=is_one_line or bool(flags),
            )


def test_a_stream_that_is_split_controls_nothing(tmp_path: Path) -> None:
    stream = {"/a": lambda: Reply(body=_reply_stream(), content_type="text/event-stream")}
    with serve_script(stream) as chute:
        assert r"\x1b]52" in show(["--call", "case", "/a", "--url", chute.root], folder=tmp_path, is_one_line=False)


def _write_account(url: str, folder: Path) -> dict[str, str]:
    """Write the file of an account of the platform at ``url``, and return the variables that select it."""
    seed, config = accounts.generate_seed(), folder / "config.ini"
    hotkey = keypair_from_seed(seed).ss58_address
    account = accounts.Account(username="me", user_id="u", payment_address="5a", hotkey=hotkey, seed=seed)
    accounts.write_config(account, url, config)
    return {"CHUTES_CONFIG_PATH": str(config)}


def test_the_platforms_responses_control_nothing(tmp_path: Path) -> None:
    instance = {"instance_id": ATTACK, "state": ATTACK, "last_failure": ATTACK, "gpus": [ATTACK], "active": True}
    image = {"image_id": ATTACK, "name": ATTACK, "tag": ATTACK, "status": ATTACK, "user": {"username": ATTACK}}
    chute = {
        **dict.fromkeys(("chute_id", "name", "slug", "version", "tagline", "updated_at"), ATTACK),
        "hot": True,
        "image": image,
        "instances": [instance],
        "user": {"username": ATTACK},
        "cords": [{"public_api_path": f"/{ATTACK}", "public_api_method": ATTACK, "path": ATTACK}],
    }
    hostile = {**chute, **image, "items": [{**chute, **image}], "total": 1, "username": ATTACK, "detail": ATTACK}
    commands = (
        "--list-chutes",
        "--list-images",
        "--account",
        "--doctor",
        "--status x",
        "--logs x",
        "--cost deploy_case",
    )
    Scenario(tmp_path, "case", "vendor/unused:1", [9090])
    for status in (200, 422, 500):
        reply = Reply(
            status=status, body=json.dumps({**hostile, "username": "me"} if status == 200 else hostile).encode()
        )
        with serve_script({}, otherwise=reply) as platform:
            variables = _write_account(platform.root, tmp_path)
            for line in commands:
                show(line.split(), folder=tmp_path, variables=variables)
            show([], folder=tmp_path, variables=variables, typed=[("What to do", "q")])


# Modules that may write to a stream themselves, and why.
_WRITERS = {
    "cli/output.py": "the door",
    "cli/prompts.py": "its questions, which it escapes",
    "cli/setup/virtual_environment.py": "before anything is installed; start.py guards its stream",
    "core/terminal_stream.py": "the guard",
    "emulator/runner.py": "on an emulated instance, whose output is a log",
    "runtime/supervision.py": "on the instance",
}
_PRINTING = re.compile(
    r"\bprint\(|\bclick\.(?:echo|secho|prompt|confirm|pause|progressbar|edit|style)\b|\bgetpass\b|\binput\("
    r"|\b(?:sys\.|from sys import )(?:__)?(?:stdout|stderr)\b|\bConsole\(|\brich\.print|\bos\.write\((?:1|2),|/dev/tty"
)
_INQUIRIES = re.compile(r"sys\.std(?:out|err)\.(?:isatty|flush|fileno)\(\)")


def _is_printing(path: Path) -> bool:
    """Whether code of a module writes to a stream; its texts and comments do not count."""
    source = path.read_text()
    if not _PRINTING.search(source):
        return False
    code = ast.unparse(_TextRemover().visit(ast.parse(source)))
    return _PRINTING.search(_INQUIRIES.sub("", code)) is not None


class _TextRemover(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.copy_location(ast.Constant(""), node) if isinstance(node.value, str | bytes) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        parts = [self.visit(each.value) for each in node.values if isinstance(each, ast.FormattedValue)]
        return ast.copy_location(ast.Tuple(parts, ast.Load()), node)


def test_only_output_prints() -> None:
    printing = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if _is_printing(path)}
    assert printing == _WRITERS.keys()


def test_no_child_process_inherits_the_terminal() -> None:
    """A child writes to a pipe, or to nothing, so that its lines pass through output."""
    inheriting = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name = ast.unparse(node.func)
            streams = {keyword.arg for keyword in node.keywords}
            if name in ("os.system", "os.popen", "pty.spawn", "os.spawnv", "os.posix_spawn") or (
                re.fullmatch(
                    r"subprocess\.(?:Popen|run|call|check_call|check_output)|asyncio\.create_subprocess_\w+", name
                )
                and not ({"stdout", "stderr"} <= streams or "capture_output" in streams)
            ):
                inheriting.append(f"{path.name}:{node.lineno}")
    assert inheriting == []
