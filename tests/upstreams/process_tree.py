"""A service of several processes for launcher tests. Modes, by the first argument:

stubborn       ignores SIGTERM, and so does its child
daemon         starts a child in a session of its own and stays
deserters      starts a child in a session of its own, and one without any environment, whose parents end, and stays
orphans        leaves a dead child to PID 1 every 50 ms, each of a parent in a session of its own
background P   starts `listen 127.0.0.1 P` in a session of its own and exits with 0
fail CODE N    prints N lines and exits with CODE
listen HOST P  accepts connections on HOST:P (0: any port, printed)
garbage        prints bytes that are not UTF-8, and a line of a megabyte
progress       prints a progress bar in one line
environment    prints its environment as JSON
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def stubborn(*_: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    say(f"pids {os.getpid()} {child.pid}")
    signal.pause()


def daemon() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    say(f"pids {os.getpid()} {child.pid}")
    signal.pause()


def deserters() -> None:
    children = [
        subprocess.run(
            ["/bin/sh", "-c", f"{command} >/dev/null & echo $!"],
            start_new_session=own_session,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()
        for command, own_session in (("sleep 600", True), ("env -i sleep 600", False))
    ]
    say(f"pids {os.getpid()} {' '.join(children)}")
    signal.pause()


def orphans() -> None:
    while True:
        subprocess.run(["/bin/sh", "-c", "sleep 0.02 &"], start_new_session=True)
        time.sleep(0.05)


def background(port: str) -> None:
    subprocess.Popen([sys.executable, __file__, "listen", "127.0.0.1", port], start_new_session=True)


def fail(code: str, lines: str) -> None:
    for index in range(int(lines)):
        say(f"line {index}")
    sys.exit(int(code))


def listen(host: str, port: str) -> None:
    server = socket.create_server((host, int(port)))
    say(f"listening on {server.getsockname()[1]}")
    while True:
        server.accept()[0].close()


def garbage() -> None:
    sys.stdout.buffer.write(b"\xff\xfe bad\n" + b"x" * 1_000_000 + b"\nlast\n")
    sys.stdout.flush()
    signal.pause()


def progress() -> None:
    for percent in range(0, 101, 50):
        sys.stdout.write(f"\r{percent}%")
    say("\r")
    say("\rdone")


def environment() -> None:
    say(json.dumps({"environment": dict(os.environ), "cwd": os.getcwd()}))


MODES = (stubborn, daemon, deserters, orphans, background, fail, listen, garbage, progress, environment)

if __name__ == "__main__":
    {mode.__name__: mode for mode in MODES}[sys.argv[1]](*sys.argv[2:])
