"""The README's terminal session: ``python docs/record.py`` runs it and draws ``docs/recording.svg``.

``docs/recording.json`` has the session. It is replaced only if more than measured values (seconds, milliseconds) has changed. So a
new recording of an unchanged session does not change the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "docs" / "recording.json"
DRAWING = ROOT / "docs" / "recording.svg"
COMMAND = "./deploy.sh --emulate deploy_example --check --watch 0 --no-docker"
COLUMNS, ROWS = 134, 120  # no cell is folded, even if a call takes seconds
TIMEOUT_S = 120
# Variables that would change a newcomer's session; a test runner sets the number of columns.
DROPPED_VARIABLES = ("CHUTES_", "CHUTE_", "NO_COLOR", "COLUMNS", "LINES")
# Printed only if loading takes more than two seconds.
SLOW = re.compile(r"loading \S+ \(at most")
# Seconds, the milliseconds before a verdict, the widths of the columns, and the id of a version.
MEASURED = re.compile(r"\d+(\.\d+)? s\b|\d+(?=\s+[✓✗])|[ ─]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

CHARACTER, LINE, MARGIN, BAR = 8.0, 19, 16, 34
TYPING_S, LINE_S = 1.2, 0.16
COLOURS = {"default": "#d5dbe3", "green": "#7fd18b", "red": "#ff8a80", "brown": "#f2cc60", "cyan": "#7cc7e8"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """Characters with one style, starting at ``column``."""

    column: int
    text: str
    colour: str
    bold: bool


Lines = list[list[Span]]


def record_session() -> Lines:
    """Run the session on a terminal, and return its lines. Raises AssertionError if its command fails."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED_VARIABLES)}
    with tempfile.TemporaryDirectory() as home:
        variables = {**inherited, "HOME": home, "TERM": "xterm-256color", "CHUTES_API_URL": "http://127.0.0.1:9"}
        folder = str(copy_project(Path(home) / "project"))
        program, *arguments = COMMAND.split()
        child = pexpect.spawn(
            program, arguments, cwd=folder, env=variables, encoding="utf-8", dimensions=(ROWS, COLUMNS)
        )
        child.expect(pexpect.EOF, timeout=TIMEOUT_S)
        child.close()
    stream.feed(str(child.before))
    lines = [_find_spans(screen, row) for row in range(screen.cursor.y)]
    assert child.exitstatus == 0, text_of(lines)
    return lines


def copy_project(folder: Path) -> Path:
    """Copy the project's files to ``folder``, with this environment as .venv: a fresh clone after its set-up.

    What Python has compiled is copied too, and is valid there, since the files keep their times.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    compiled = [str(path.relative_to(ROOT)) for path in (ROOT / "chutes_wrappers").rglob("__pycache__/*.pyc")]
    for name in filter(None, (*names, *compiled)):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for name in ("requirements.txt", "requirements-dev.txt"):  # not newer than the installation
        os.utime(folder / name, (0, 0))
    return folder


def _find_spans(screen: pyte.Screen, row: int) -> list[Span]:
    line = screen.buffer[row]
    spans = []
    for (colour, bold), columns in groupby(range(COLUMNS), key=lambda column: (line[column].fg, line[column].bold)):
        at = list(columns)
        text = "".join(line[column].data for column in at).rstrip()
        if text:
            spans.append(Span(column=at[0], text=text, colour=colour, bold=bold))
    return spans


def text_of(lines: Lines) -> str:
    """Return the session as text."""
    return "\n".join(_join_spans(line) for line in lines)


def _join_spans(line: Sequence[Span]) -> str:
    text = ""
    for span in line:
        text = text.ljust(span.column) + span.text
    return text


def find_differences(old: Lines, new: Lines) -> list[str]:
    """Return the added and removed lines from ``old`` to ``new``, except for measured values and the order.

    The order of the ports' responses varies. Lines that only a slow machine prints are ignored.
    """
    texts = ([_join_spans(line) for line in lines] for lines in (old, new))
    before, after = ([MEASURED.sub(" ", line).strip() for line in lines if not SLOW.search(line)] for lines in texts)
    return [f"+ {line}" for line in after if line not in before] + [f"- {line}" for line in before if line not in after]


def parse_recording(text: str) -> Lines:
    """Parse the JSON of ``format_recording``."""
    return [[Span(**span) for span in line] for line in json.loads(text)]


def format_recording(lines: Lines) -> str:
    """Format the session as JSON, with each line of the session on one line."""
    rows = (json.dumps([vars(span) for span in line], ensure_ascii=False) for line in lines)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def draw_session(lines: Lines) -> str:
    """Draw the session as SVG, in which the lines appear one after the other."""
    width = round(COLUMNS * CHARACTER + 2 * MARGIN)
    height = BAR + (len(lines) + 2) * LINE + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(COMMAND)}">',
        "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
        ".l{animation:a .1s both}@keyframes a{from{opacity:0}}"
        "@media(prefers-reduced-motion){.l{animation:none}}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b2028"/>',
        *(f'<circle cx="{20 + 18 * n}" cy="18" r="5.5" fill="#3d4653"/>' for n in range(3)),
        *_draw_line([Span(column=0, text=f"$ {COMMAND}", colour="default", bold=True)], 0, 0.2),
    ]
    for number, line in enumerate(lines, start=1):
        parts += _draw_line(line, number, TYPING_S + number * LINE_S)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _draw_line(line: Sequence[Span], number: int, after_s: float) -> Iterator[str]:
    if not line:
        return
    y = BAR + LINE + number * LINE
    yield f'<g class="l" style="animation-delay:{after_s:.2f}s">'
    for span in line:
        colour = COLOURS.get(span.colour, COLOURS["default"])
        weight = ' font-weight="bold"' if span.bold else ""
        for cell in re.finditer(
            r"\S+( \S+)*", span.text
        ):  # each at its own position: some viewers collapse white space
            x, width = MARGIN + (span.column + cell.start()) * CHARACTER, len(cell[0]) * CHARACTER
            yield (
                f'<text x="{x:g}" y="{y}" fill="{colour}"{weight} textLength="{width:g}" '
                f'lengthAdjust="spacingAndGlyphs">{escape(cell[0])}</text>'
            )
    yield "</g>"


def main() -> int:
    """Record the session again, and print the differences."""
    lines = record_session()
    old = parse_recording(RECORDING.read_text(encoding="utf-8")) if RECORDING.exists() else []
    new = find_differences(old, lines)
    if new:
        RECORDING.write_text(format_recording(lines), encoding="utf-8")
    else:
        lines = old
    DRAWING.write_text(draw_session(lines), encoding="utf-8")
    sys.stderr.write("".join(f"{line}\n" for line in new) or "no differences\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
