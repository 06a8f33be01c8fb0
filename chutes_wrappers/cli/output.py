"""Output of all commands. Uses rich if standard error is a terminal, plain lines otherwise; respects NO_COLOR.

Results go to standard output; progress, logs and errors go to standard error. So with ``--json``, standard output contains
only JSON.

No text controls a terminal. A message or a cell is one line, in which control characters and hidden ones are escaped, and markup is
text. Results are escaped on a terminal only; in a pipe they are exact.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.overruled_rules import list_overruled
from chutes_wrappers.core.text import escape_block, escape_line, remove_escape_sequences

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    from chutes_wrappers.cli.fault_report import Invocation

INTERRUPTED = 130
_HEARTBEAT_S = 10.0
_MAX_TABLE_WIDTH = 200
_console: Console | None = None
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Set whether only results, warnings and errors are printed."""
    global _quiet
    _quiet = quiet


def get_console() -> Console:
    """Return the console on standard error, created at the first use: rich takes a tenth of a second to load."""
    global _console
    if _console is None:
        from rich.console import Console

        _console = Console(stderr=True, highlight=False, soft_wrap=True)
    return _console


def print_result(text: str) -> None:
    """Print the result of a command to standard output; it may have several lines."""
    line_end = "" if text.endswith("\n") else "\n"
    _write_piece((escape_block(text) if sys.stdout.isatty() else text) + line_end)


def print_json(value: Mapping[str, object], *, indent: int | None = None) -> None:
    """Print an object as the JSON result of a command; ``overruled`` in it lists the rules that ``--allow`` overruled."""
    overruled = list_overruled()
    print_result(json.dumps({**value, **({"overruled": overruled} if overruled else {})}, indent=indent))


def print_line(line: str) -> None:
    """Print one line of a result to standard output, for people: it is escaped in a pipe, too."""
    print_result(escape_line(line))


def write_data(pieces: Iterable[bytes]) -> None:
    """Write result bytes to standard output without buffering: unchanged, but escaped as UTF-8 text on a terminal."""
    if sys.stdout.isatty():
        utf_8_decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        decoder = io.IncrementalNewlineDecoder(utf_8_decoder, translate=True)
        for piece in pieces:
            _write_piece(escape_block(decoder.decode(piece)))
        _write_piece(escape_block(decoder.decode(b"", final=True)))
        return
    for data in pieces:
        with _check_reader():
            sys.stdout.buffer.write(data)
            sys.stdout.flush()


def _write_piece(text: str) -> None:
    with _check_reader():
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:  # a lone surrogate of the platform's, or a character that the locale does not have
            encoding = sys.stdout.encoding
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()


@contextlib.contextmanager
def _check_reader() -> Iterator[None]:
    """Raise WrapperError if the reader of standard output has ended."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest of its buffer at exit
        raise WrapperError(
            "the reader of standard output has ended", next_step="let the reader read to the end"
        ) from None


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; without a terminal it is up to 200 columns wide."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _MAX_TABLE_WIDTH
    Console(width=width, highlight=False, markup=False).print(_build_table(columns, rows))


def _build_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table without the columns that are empty in every row: an API may omit a field."""
    from rich import box
    from rich.table import Table

    rows = list(rows)
    filled = [number for number, _ in enumerate(columns) if not rows or any(row[number] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number in filled:
        table.add_column(_make_text(columns[number]), overflow="fold")  # a truncated path cannot be called
    for row in rows:
        table.add_row(*(_make_text(row[number]) for number in filled))
    return table


def _make_text(line: str, *, style: str = "") -> Text:
    """Return what rich prints for a line: a Text, in which neither markup nor names of emoji are interpreted."""
    from rich.text import Text

    return Text(escape_line(line), style=style)


def _print(line: str, *, style: str = "") -> None:
    get_console().print(_make_text(line, style=style))


def report(line: str, *, style: str = "") -> None:
    """Print a line about the progress, unless quiet."""
    if not _quiet:
        _print(line, style=style)


def show(line: str) -> None:
    """Print a line that belongs to a question, even if quiet."""
    _print(line)


def print_columns(cells: Sequence[str]) -> None:
    """Print short texts in columns, from top to bottom, as many columns as fit."""
    from rich.columns import Columns

    renderable = Columns(list(map(_make_text, cells)), column_first=True, padding=(0, 3))
    get_console().print(renderable, soft_wrap=False, width=min(get_console().width, 90))


def print_heading(line: str) -> None:
    """Print the heading of a step, unless quiet."""
    report(line, style="bold")


def success(line: str) -> None:
    """Print a verified success, unless quiet."""
    report(f"✓ {line}", style="green")


def warning(line: str) -> None:
    """Print a warning."""
    _print(f"! {line}", style="yellow")


def log(line: str) -> None:
    """Print a line of another program's output, without its escape sequences, unless quiet."""
    report(_format_log_line(line), style="dim")


def _format_log_line(line: str) -> str:
    return "  | " + remove_escape_sequences(line).expandtabs()


def error(failure: WrapperError) -> None:
    """Print the failure, its location, the evidence, and the next step."""
    _print(f"✗ {failure.where}: {failure.what}" if failure.where else f"✗ {failure.what}", style="bold red")
    for line in (failure.evidence or "").splitlines():
        _print(_format_log_line(line), style="dim")
    if failure.next_step:
        _print_next_step(failure.next_step)


def report_next_step(text: str) -> None:
    """Print what to do next, unless quiet. Further lines of ``text``, such as code to copy, are indented by at least four spaces."""
    if not _quiet:
        _print_next_step(text)


def _print_next_step(text: str) -> None:
    first, *others = text.splitlines() or [""]
    _print(f"  Next: {first}")
    for line in others:
        _print(line if line.startswith("    ") else f"    {line}")


def show_usage_error(failure: click.ClickException) -> None:
    """Print an invalid command line in click's form: the usage, the hint and the error in one line."""
    context = failure.ctx if isinstance(failure, click.UsageError) else None
    click.UsageError(escape_line(failure.format_message()), context).show()


def run(action: Callable[[], int | None], *, debug: bool = False, invocation: Invocation | None = None) -> int:
    """Run a command and return its exit code: 0, the error's code, 130 for Ctrl-C, 1 for an internal error.

    With ``debug`` an internal error is raised, with its traceback, instead of one line. ``invocation`` is for its report.
    """
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by start.py while the modules load
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return action() or 0
    except WrapperError as failure:
        error(failure)
        return failure.exit_code
    except (KeyboardInterrupt, click.Abort):  # the latter at a question
        report("interrupted; everything that was started on this machine is stopped")
        return INTERRUPTED
    except Exception as failure:
        if debug:
            raise
        from chutes_wrappers.cli.fault_report import Invocation, report_fault

        error(report_fault(failure, invocation or Invocation()))
        return WrapperError.exit_code


@contextlib.contextmanager
def show_status(title: str) -> Iterator[None]:
    """Show ``title`` on a terminal while the block runs, and remove it after that."""
    if _quiet or not get_console().is_terminal:
        yield
        return
    with _make_live(_make_spinner(title)):
        yield


def _make_spinner(title: str) -> Spinner:
    from rich.spinner import Spinner

    return Spinner("dots", _make_text(title), style="status.spinner")


def _make_live(spinner: Spinner) -> Live:
    """Return a display that removes itself. Without rich's redirection, which decodes escape sequences that libraries print."""
    from rich.live import Live

    return Live(
        spinner,
        console=get_console(),
        refresh_per_second=12.5,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


class Progress:
    """Progress of a long step: its last line and the elapsed seconds. A context manager.

    ``add_line`` accepts each line of the step's output, and keeps the last 50 for a failure. Lines for which ``is_important``
    is true stay on the screen. With ``verbose`` every line does. Without a terminal a line is printed every ``heartbeat_s``
    seconds at most.
    """

    def __init__(
        self,
        title: str,
        *,
        verbose: bool = False,
        is_important: Callable[[str], bool] = lambda line: False,
        heartbeat_s: float = _HEARTBEAT_S,
    ) -> None:
        self._title = title
        self._verbose = verbose
        self._heartbeat_s = heartbeat_s
        self._is_important = is_important
        self._tail: deque[str] = deque(maxlen=50)
        self._started_at = self._last_output_at = time.monotonic()
        self._spinner: Spinner | None = None
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        self._started_at = self._last_output_at = time.monotonic()
        print_heading(self._title)
        if get_console().is_terminal and not self._verbose and not _quiet:
            self._spinner = _make_spinner("")
            self._live = _make_live(self._spinner)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the start of the step."""
        return time.monotonic() - self._started_at

    @property
    def tail(self) -> str:
        """The last 50 lines."""
        return "\n".join(self._tail)

    def add_line(self, text: str) -> None:
        """Add one line of output."""
        text = remove_escape_sequences(text)
        if not text.strip():
            return
        self._tail.append(text)
        if self._verbose or self._is_important(text):
            self._last_output_at = time.monotonic()
            log(text)
        elif self._spinner is not None:
            width = max(20, get_console().width - 20)
            self._spinner.update(
                text=_make_text(f"{self.seconds:4.0f} s  ").append_text(_make_text(text[:width], style="dim"))
            )
        elif time.monotonic() - self._last_output_at > self._heartbeat_s:
            self._last_output_at = time.monotonic()
            log(f"{self.seconds:.0f} s: {text[:150]}")


class LiveTable:
    """A table that is updated in place on a terminal; elsewhere it is printed after each change. A context manager."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def __enter__(self) -> LiveTable:
        from rich.console import Console
        from rich.live import Live

        console = Console(highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, is_changed: bool) -> None:
        """Show the current table below its title; without a terminal only if ``is_changed``."""
        if self._live is None:
            if is_changed:
                print_result("\n".join(map(escape_line, (title, *("  ".join(filter(None, row)) for row in rows)))))
            return
        from rich.console import Group

        self._live.update(Group(_make_text(title), _build_table(columns, rows)), refresh=True)
