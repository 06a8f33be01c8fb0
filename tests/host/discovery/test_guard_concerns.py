"""Discovery names programs that the platform's guard library may end (PLATFORM.md, section 1)."""

from __future__ import annotations

import os
import subprocess

import pytest

from chutes_wrappers.host.discovery.guard_concerns import (
    READ_COMMAND_LINES,
    describe_guard_concerns,
    parse_command_lines,
)

SPAWN = "starts workers by spawn, which may fail under the platform's guard library"


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("uvicorn app:app --workers 4", "uvicorn --workers"),
        ("/opt/venv/bin/uvicorn --workers=2 app:app", "uvicorn --workers"),
        ("python -m uvicorn app:app --workers 2", "uvicorn --workers"),
        ("python3.12 /usr/local/bin/uvicorn app:app --workers 2 --port 80", "uvicorn --workers"),
        ('/bin/sh -c cd /app && exec uvicorn "app:app" --workers $WORKERS2 --workers 3', "uvicorn --workers"),
        ("uvicorn app:app --reload", "uvicorn --reload"),
        ("fastapi run main.py --workers 4", "fastapi --workers"),
        ("hypercorn app:app", "hypercorn"),
        ("hypercorn -w 4 app:app", "hypercorn"),
        ("granian --interface asgi app:app", "granian"),
        ("sanic app:app --workers 2", "sanic"),
        (
            "/usr/bin/python3 -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)",
            "multiprocessing (spawn)",
        ),
        ("python -c from multiprocessing.forkserver import main; main(3)", "multiprocessing (forkserver)"),
    ],
)
def test_workers_by_spawn_are_named_with_what_starts_them(command: str, cause: str) -> None:
    (sentence,) = describe_guard_concerns([command.split(" ")])
    assert sentence.startswith(f"{cause} {SPAWN}")
    assert describe_guard_concerns([["/bin/sh", "-c", command]]) == (sentence,)


@pytest.mark.parametrize(
    "command",
    [
        "uvicorn app:app",
        "uvicorn app:app --workers 1",
        "gunicorn -k uvicorn.workers.UvicornWorker --workers 4 app:app",
        "gunicorn -w 4 app:app --reload",
        "hypercorn --workers 0 app:app",
        "hypercorn -w 0 app:app",
        "sanic app:app --single-process",
        "node server.js --workers 8",
        "nginx -g daemon off;",
        "/serve --log uvicorn.log --workers 3",
        "",
    ],
)
def test_other_programs_are_not(command: str) -> None:
    assert describe_guard_concerns([command.split(" ")]) == ()


@pytest.mark.parametrize("name", ["WEB_CONCURRENCY", "UVICORN_WORKERS"])
def test_a_variable_starts_workers_only_of_a_server_that_reads_it(name: str) -> None:
    assert describe_guard_concerns([("uvicorn", "app:app")], {name: "4"})[0].startswith(f"uvicorn with {name} {SPAWN}")
    assert describe_guard_concerns([("uvicorn", "app:app")], {name: "1"}) == ()
    assert describe_guard_concerns([("uvicorn", "app:app", "--workers", "1")], {name: "4"}) == ()
    assert describe_guard_concerns([("gunicorn", "app:app")], {name: "4"}) == ()


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("python -X faulthandler app.py", "-X faulthandler"),
        ("python3 -u -X dev app.py", "-X dev"),
        ("/opt/venv/bin/python3.11 -Xfaulthandler app.py", "-Xfaulthandler"),
        ("env PYTHONFAULTHANDLER=1 python app.py", "PYTHONFAULTHANDLER"),
        ("/bin/sh -c PYTHONDEVMODE=1 exec python app.py", "PYTHONDEVMODE"),
    ],
)
def test_a_command_that_enables_faulthandler_is_named(command: str, cause: str) -> None:
    (sentence,) = describe_guard_concerns([command.split(" ")])
    assert sentence == (
        f"Python ends immediately under the platform's guard library with {cause}: remove it from the command"
    )


@pytest.mark.parametrize(("options", "option"), [("-I", "-I"), ("-u -Es", "-Es"), ("-S -m app", "-S")])
def test_a_python_without_pythonpath_is_named(options: str, option: str) -> None:
    (sentence,) = describe_guard_concerns([["python3", *options.split(), "app.py"]])
    assert sentence.startswith(f"Python runs with {option}, so it does not read PYTHONPATH")


@pytest.mark.parametrize(
    "command", ["python app.py -I", "python -c pass -E", "python -m app -S", "python -u -B -O app.py", "cat -E x"]
)
def test_options_of_other_programs_are_not_pythons(command: str) -> None:
    assert describe_guard_concerns([command.split(" ")]) == ()


def test_each_sentence_comes_once() -> None:
    assert len(describe_guard_concerns([["uvicorn", "a:b", "--workers", "2"]] * 3)) == 1


def test_the_command_lines_of_running_programs_are_read() -> None:
    done = subprocess.run(READ_COMMAND_LINES, capture_output=True, text=True, check=False)
    own = parse_command_lines(done.stdout)
    with open(f"/proc/{os.getpid()}/cmdline") as file:
        assert tuple(file.read().rstrip("\0").split("\0")) in own
    assert parse_command_lines("python\0-c\0a\nb\0\n\nsleep\0" + "1\0\n") == [
        ("python", "-c", "a\nb"),
        ("sleep", "1"),
    ]


@pytest.mark.parametrize("arguments", [("uvicorn", "-" * 1_000_000), ("python", f"-{'I' * 1_000_000}!")])
def test_a_long_argument_is_read_in_bounded_time(arguments: tuple[str, str]) -> None:
    assert describe_guard_concerns([arguments]) == ()
