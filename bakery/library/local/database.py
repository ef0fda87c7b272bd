"""The SQLite database of the local library: connections, transactions, schema versions and errors.

With write-ahead logging, readers continue while one process writes; with ``synchronous=FULL`` a reported promotion
survives a power cut. Both need a local file system: SQLite's locks and shared memory do not work over NFS.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage

from bakery.errors import MAKE_ROOM, BakeryError, InfrastructureFailed, Uncertain
from bakery.host import locks
from bakery.host.files import write_atomic
from bakery.library.local import migrations

RESERVE = 1 << 20  # bytes; with less, SQLite may be unable to work
BUSY_SECONDS = 60.0  # 40 creates of one plugin and the command line may wait for one writer


class _Opened:
    """A thread's connection, with the process and the file that it belongs to. It is closed with the last reference.

    A connection alone would stay open, with 130 KB, until the garbage collector finds it: it refers to itself, by its
    cache of statements. In a plugin that makes a thousand images these are hundreds.
    """

    def __init__(self, connection: sqlite3.Connection, owner: tuple[int, tuple[int, int] | None]) -> None:
        self.connection, self.owner = connection, owner

    def __del__(self) -> None:
        if self.owner[0] == os.getpid():  # SQLite forbids a forked child to close the connections of its parent
            self.connection.close()


class Database:
    """One SQLite file, created on first use. Safe among threads; a forked child opens its own connection."""

    def __init__(self, file: Path, scripts: Sequence[str] = migrations.MIGRATIONS) -> None:
        self.file = file
        self._scripts = tuple(scripts)
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for selects; each sees what was committed before it began. Raises Uncertain."""
        with self._translated():
            yield self._connection()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction. Raises Uncertain or InfrastructureFailed."""
        with self._translated():
            connection = self._connection()
            # IMMEDIATE takes the write lock at the start: a later upgrade could fail halfway.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have rolled back already
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close this thread's connection; the next use opens a new one."""
        self._local.opened = None

    def _connection(self) -> sqlite3.Connection:
        held: _Opened | None = getattr(self._local, "opened", None)
        if held is None or held.owner != (os.getpid(), self._identity()):
            connection = self._open()  # it makes a missing file
            held = self._local.opened = _Opened(connection, (os.getpid(), self._identity()))
        return held.connection

    def _identity(self) -> tuple[int, int] | None:
        """Return device and inode of the file: a connection to a deleted library must not be used for its successor."""
        try:
            status = self.file.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _open(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # Each thread uses its own, but the last reference to it may be another thread's.
        connection = sqlite3.connect(self.file, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            if migrations.version(connection) != len(self._scripts) or migrations.missing_fields(connection):
                self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the schema up to date, one process at a time: the switch to WAL does not wait for other processes."""
        with locks.opened(self.file.with_suffix(".lock"), Uncertain) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            version = migrations.version(connection)
            if version > len(self._scripts):
                raise Uncertain(
                    f"{self.file} was written by a newer bakery (schema {version}, known: {len(self._scripts)})",
                    hint="update this checkout",
                )
            connection.execute("PRAGMA journal_mode = WAL")
            for number, script in enumerate(self._scripts[version:], version + 1):
                migrations.apply(connection, number, script)
            if missing := migrations.missing_fields(connection):
                migrations.add_fields(connection, missing)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self.file, error) from error
        except OSError as error:
            raise Uncertain(
                f"the library's records can't be read: {error}",
                hint=f"check owner and permissions of {self.file.parent}",
            ) from error


def keep_reserve(file: Path) -> None:
    """Write the file that makes room on a full disk when it is deleted, if there is room for it now."""
    if not file.exists():
        with suppress(InfrastructureFailed):
            write_atomic(file, os.urandom(RESERVE))  # random, since a file system may compress


def _explained(file: Path, error: sqlite3.Error) -> BakeryError:
    """Return the error to raise for an error of SQLite; none of them means that an image does not exist."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    # A full disk is also an I/O error (no room for shared memory), or a file that can't be opened (none for its name).
    full = primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and disk_usage(file.parent).free < RESERVE
    if full or primary == sqlite3.SQLITE_FULL:
        return InfrastructureFailed(f"no space left for {file}", hint=MAKE_ROOM)
    if primary == sqlite3.SQLITE_BUSY:
        return Uncertain(f"{file} has been locked by another process for {BUSY_SECONDS:.0f} s", hint="try again")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Uncertain(
            f"{file} is damaged: {error}",
            hint=f"move it away (mkdir {file.parent}/damaged && mv {file}* {file.parent}/damaged/): "
            "the images are adopted again from the files beside them",
        )
    return Uncertain(f"{file}: {error}", hint=f"check owner, permissions and free space of {file.parent}")
