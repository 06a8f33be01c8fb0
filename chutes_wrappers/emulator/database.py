"""The sqlite file of the state: every change is a transaction, and one process at a time uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.core.errors import ConfigurationError

FILE_NAME = "emulator.sqlite"
_LOCK_NAME = "emulator.lock"
_VERSION = 1
# Another tool may have the file open and locked.
_BUSY_TIMEOUT_S = 5.0
_SCHEMA = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE users (user_id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, hotkey TEXT NOT NULL UNIQUE,"
    " coldkey TEXT NOT NULL, payment_address TEXT NOT NULL, fingerprint_hash TEXT NOT NULL, balance REAL NOT NULL,"
    " permissions INTEGER NOT NULL, created_at REAL NOT NULL)",
    "CREATE TABLE counters (user_id TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL,"
    " PRIMARY KEY (user_id, day, kind))",
    "CREATE TABLE images (image_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,"
    " tag TEXT NOT NULL COLLATE NOCASE, readme TEXT NOT NULL, public INTEGER NOT NULL, logo_id TEXT, status TEXT NOT NULL,"
    " reference TEXT, sdk_version TEXT NOT NULL, created_at REAL NOT NULL, build_started_at REAL, build_completed_at REAL,"
    " UNIQUE (user_id, name, tag))",
    "CREATE TABLE uploads (image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, dockerfile TEXT NOT NULL,"
    " build_context BLOB NOT NULL)",
    "CREATE TABLE build_logs (image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE, position INTEGER NOT NULL,"
    " line TEXT NOT NULL, PRIMARY KEY (image_id, position))",
    "CREATE TABLE chutes (chute_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,"
    " image_id TEXT NOT NULL, slug TEXT NOT NULL UNIQUE, version TEXT NOT NULL, public INTEGER NOT NULL,"
    " definition TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL, UNIQUE (user_id, name))",
    "CREATE TABLE shares (chute_id TEXT NOT NULL REFERENCES chutes ON DELETE CASCADE, user_id TEXT NOT NULL,"
    " PRIMARY KEY (chute_id, user_id))",
    "CREATE TABLE secrets (secret_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, purpose TEXT NOT NULL COLLATE NOCASE,"
    " key TEXT NOT NULL, value TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (user_id, purpose, key))",
    "CREATE TABLE api_keys (api_key_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL, admin INTEGER NOT NULL,"
    " scopes TEXT NOT NULL, secret_hash TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (user_id, name))",
    "CREATE TABLE logos (logo_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, media_type TEXT NOT NULL, content BLOB NOT NULL)",
)

Value = str | int | float | bytes | None


class Database:
    """The file in ``folder``, with mode 600; created when it does not exist. Can be used from any thread.

    Raises ConfigurationError when another process or Database has it open, or when it is not a state file.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.RLock()
        self._path = folder / FILE_NAME
        with contextlib.ExitStack() as stack:
            stack.enter_context(_lock_folder(folder))
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            stack.callback(self._connection.close)
            self._connection.row_factory = sqlite3.Row
            try:
                self._initialize()
            except sqlite3.Error as error:
                raise ConfigurationError(
                    "this is not a state file of the emulator", where=str(self._path), evidence=str(error)
                ) from error
            self._resources = stack.pop_all()

    def close(self) -> None:
        """Close and unlock the file."""
        with self._lock:
            self._resources.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes of the context, or none. Other threads wait. A nested transaction is part of the outer one."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def execute(self, statement: str, *values: Value) -> int:
        """Run one statement in a transaction. Return the number of changed rows."""
        with self.transaction():
            return self._connection.execute(statement, values).rowcount

    @property
    def change_count(self) -> int:
        """How many rows this process has changed so far: what was read before is valid while it is the same."""
        with self._lock:
            return self._connection.total_changes

    def query(self, statement: str, *values: Value) -> list[dict[str, Value]]:
        """Return all rows of a query, as column → value."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def query_one(self, statement: str, *values: Value) -> dict[str, Value] | None:
        """Return the first row of a query, or None."""
        return next(iter(self.query(statement, *values)), None)

    def _initialize(self) -> None:
        # A write-ahead log keeps committed changes when this process is killed. A crash of the machine may lose some.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise ConfigurationError(
                    f"another version of the emulator wrote this file (format {version}, expected {_VERSION})",
                    where=str(self._path),
                    next_step="set --folder to another folder, or remove the file",
                )


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder, and lock it until the context or the process ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # sqlite gives its other files the same mode. An existing file is not opened: closing it would release sqlite's locks.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        handle = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the emulator's state to this folder ({error.strerror})", where=str(folder)
        ) from error
    with os.fdopen(handle, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"another emulator uses this folder (pid {file.read().strip() or 'unknown'})",
                where=str(folder),
                next_step="stop that emulator, or set --folder to another folder",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
