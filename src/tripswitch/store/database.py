"""One SQLite file that several processes may use at once, and that survives a pulled plug.

WAL with ``synchronous=FULL``: a transaction that returned is on disk. Writers take turns
(``BEGIN IMMEDIATE`` and a busy time-out), so a read and the write that follows from it are one
step. Whatever SQLite or the file system refuses becomes a `LedgerError` that says what to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from tripswitch.errors import LedgerError
from tripswitch.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Longer than any transaction here takes on a slow disk, shorter than a missed health check.
BUSY_TIMEOUT_S = 10.0

_DAMAGED_HINT = (
    "stop tripswitch, move the file and its -wal and -shm away (keep them as evidence), and "
    "start again with an empty ledger; forwarding does not depend on it"
)
_HINTS = {
    "SQLITE_CORRUPT": _DAMAGED_HINT,
    "SQLITE_NOTADB": _DAMAGED_HINT,
    "SQLITE_FULL": "free some space on this disk, or point storage.directory at another one",
    "SQLITE_IOERR": "look at the disk's health and free space, then start again",
    "SQLITE_BUSY": "another process holds the ledger; look for a second tripswitch, or a backup",
    "SQLITE_READONLY": "make the file and its folder writable for the user that runs tripswitch",
    "SQLITE_CANTOPEN": "storage.directory must be a folder that tripswitch's user can write to",
}


class Database:
    """A migrated SQLite file. Methods may be called from any thread; they take turns.

    The file is made with mode 0600; a missing folder with 0700. Raises `LedgerError` when the file
    cannot be opened, is damaged, or was written by a newer tripswitch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        with self._named_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _folder_lock(path.parent):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                path.chmod(0o600)
                self._connection = sqlite3.connect(
                    path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare()
                except BaseException:
                    self._connection.close()
                    raise

    def read(self, sql: str, arguments: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of one query."""
        with self._turn, self._named_errors():
            return self._connection.execute(sql, arguments).fetchall()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction: all of it durable on leaving, or none of it."""
        with self._turn, self._named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; a second ROLLBACK is an error.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; the object is of no use afterwards."""
        with self._turn:
            self._connection.close()

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise LedgerError(f"the ledger {self.path} is damaged: {verdict}", hint=_DAMAGED_HINT)
        with self.write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise LedgerError(
                    f"the ledger {self.path} has schema version {version}, "
                    f"this tripswitch knows versions up to {len(MIGRATIONS)}",
                    hint="run the newer tripswitch that wrote it, or use another storage.directory",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") or type(error).__name__
            basic = "_".join(name.split("_")[:2])
            raise LedgerError(
                f"the ledger {self.path} cannot be used: {error} ({name})",
                hint=_HINTS.get(basic, ""),
            ) from error
        except OSError as error:
            raise LedgerError(
                f"the ledger {self.path} cannot be opened: {error.strerror or error}",
                hint=_HINTS["SQLITE_CANTOPEN"],
            ) from error


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time open and migrate: SQLite's switch to WAL does not wait its turn."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
