"""The evidence file: its tables, and how it is opened."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

VERSION: Final = 3
#: Takes a file of format 1 to format 2. Its mismatches are of unknown combination, and so stay mismatches.
_UPGRADE: Final = """
ALTER TABLE pair ADD COLUMN probes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pair ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pair ADD COLUMN requests BLOB;
ALTER TABLE pair ADD COLUMN callers BLOB;
ALTER TABLE fingerprint ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fingerprint ADD COLUMN requests BLOB;
ALTER TABLE fingerprint ADD COLUMN callers BLOB;
"""
#: The file beside the evidence that holds the key of its hashes.
KEY: Final = "redaction.key"
_KEY_BYTES: Final = 32
#: "STRG" in the file's header, so that no other program's SQLite file is taken for evidence.
APPLICATION_ID: Final = 0x53545247

_ADDED_IN_2: Final = """
CREATE TABLE combination (        -- which differences came together, and in how many pairs
    pair INTEGER NOT NULL, members TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, members)
) STRICT, WITHOUT ROWID;
CREATE TABLE rule (               -- in how many pairs a rule had work to do
    pair INTEGER NOT NULL, rule TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, rule)
) STRICT, WITHOUT ROWID;
CREATE TABLE field (              -- what was found when the side that answered was asked twice
    pair INTEGER NOT NULL, id TEXT NOT NULL,
    both INTEGER NOT NULL, itself INTEGER NOT NULL, sides INTEGER NOT NULL,
    type TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (pair, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (            -- a sample of what was asked, to ask it again
    pair INTEGER NOT NULL, slot INTEGER NOT NULL, at REAL NOT NULL, method TEXT NOT NULL, target TEXT NOT NULL,
    PRIMARY KEY (pair, slot)
) STRICT, WITHOUT ROWID;"""

_ADDED_IN_3: Final = """
CREATE TABLE traffic (            -- answers and failures of each side, to callers and to shadows
    pair INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE served (             -- who was asked in which hour of Unix time; route '' is what no route claims
    hour INTEGER NOT NULL, route TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, route, name)
) STRICT, WITHOUT ROWID;"""

_TABLES: Final = (
    """
CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL, legacy TEXT NOT NULL, extracted TEXT NOT NULL,
    seen INTEGER NOT NULL,        -- the highest of a route is its current pair
    since REAL, until REAL,
    unlisted INTEGER NOT NULL DEFAULT 0,
    probes INTEGER NOT NULL DEFAULT 0, requests BLOB, callers BLOB,
    recent_requests BLOB, recent_callers BLOB,
    recorded INTEGER NOT NULL DEFAULT 0,
    UNIQUE (route, legacy, extracted)
) STRICT;
CREATE TABLE outcome (
    pair INTEGER NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, outcome)
) STRICT, WITHOUT ROWID;
CREATE TABLE skip (
    pair INTEGER NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE status (
    pair INTEGER NOT NULL, legacy INTEGER NOT NULL, extracted INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, legacy, extracted)
) STRICT, WITHOUT ROWID;
CREATE TABLE latency (
    pair INTEGER NOT NULL, side TEXT NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pair, side, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE fingerprint (
    pair INTEGER NOT NULL, id TEXT NOT NULL,
    method TEXT NOT NULL, place TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL,
    legacy TEXT NOT NULL, extracted TEXT NOT NULL,
    count INTEGER NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0, requests BLOB, callers BLOB,
    PRIMARY KEY (pair, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE example (
    pair INTEGER NOT NULL, fingerprint TEXT NOT NULL, slot INTEGER NOT NULL,
    at REAL NOT NULL, method TEXT NOT NULL, target TEXT NOT NULL,
    legacy_value TEXT NOT NULL, extracted_value TEXT NOT NULL,
    legacy_body TEXT NOT NULL, extracted_body TEXT NOT NULL,
    PRIMARY KEY (pair, fingerprint, slot)
) STRICT;
CREATE TABLE account (            -- what one gateway worker handed over, and what became of it
    worker TEXT NOT NULL, route TEXT NOT NULL,
    handed INTEGER NOT NULL, recorded INTEGER NOT NULL, lost INTEGER NOT NULL,
    PRIMARY KEY (worker, route)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (            -- the last cumulative value of each skip a gateway worker counts
    worker TEXT NOT NULL, route TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (worker, route, name)
) STRICT, WITHOUT ROWID;
"""
    + _ADDED_IN_2
    + _ADDED_IN_3
    + """
CREATE TABLE retired (id INTEGER PRIMARY KEY, worker TEXT NOT NULL UNIQUE) STRICT;
"""
)


#: Takes a file of format 2 to format 3.
_UPGRADE_2: Final = """
ALTER TABLE pair ADD COLUMN recent_requests BLOB;
ALTER TABLE pair ADD COLUMN recent_callers BLOB;
"""


class StoreError(Exception):
    """The evidence file cannot be used. The message is one line and names the file."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The connection of the one writer; the file is made when there is none. Raises StoreError."""
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        if not _is_new(connection):
            _upgrade(connection)
            _check(path, connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA journal_size_limit=16777216")
        if _is_new(connection):
            _create(connection)
    except (sqlite3.Error, OSError) as problem:
        _close(connection)
        raise store_error(path, problem) from problem
    except StoreError:
        _close(connection)
        raise
    return connection


def redaction_key(path: Path, connection: sqlite3.Connection) -> bytes:
    """The key of this evidence file, made when there is none. Raises StoreError.

    Without its key a file holds examples that cannot be compared with new ones, or were never redacted, so they
    are removed; the counts stay.
    """
    place = path.with_name(KEY)
    try:
        if not place.exists():
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("DELETE FROM example")
            connection.execute("DELETE FROM request")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _write_key(place)
        key = place.read_bytes()
    except (sqlite3.Error, OSError) as problem:
        raise store_error(path, problem) from problem
    if len(key) != _KEY_BYTES:
        raise StoreError(
            f"{place}: this is not a key of {_KEY_BYTES} bytes; remove it to have a new one made"
        )
    return key


def _write_key(place: Path) -> None:
    """Whole or not at all: a crash in the middle must not leave a short key that everything is hashed under."""
    part = place.with_name(f".{place.name}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    part.replace(place)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A read-only connection, inside one snapshot. The file must be there. Raises StoreError."""
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect_read_only(path)
        connection.execute("BEGIN")
        if not _is_new(connection):  # another process may be making it just now
            _check_marks(path, connection)
    except (sqlite3.Error, OSError) as problem:
        _close(connection)
        raise store_error(path, problem) from problem
    except StoreError:
        _close(connection)
        raise
    return connection


def size_of(path: Path) -> int:
    """Bytes that the file and its log of writes take on the disk's account; 0 when there are none."""
    size = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            size += part.stat().st_size
    return size


def _connect_read_only(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    connection = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=2.0, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        # In a folder we may not write to, a file in WAL mode opens only as one that nobody writes to.
        if path.with_name(path.name + "-wal").exists():
            raise
        return sqlite3.connect(f"{address}?immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_new(connection: sqlite3.Connection) -> bool:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0 and _mark(connection, "user_version") == 0


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; {_TABLES}"
        f"PRAGMA user_version={VERSION}; COMMIT;"
    )


def _upgrade(connection: sqlite3.Connection) -> None:
    if _mark(connection, "application_id") != APPLICATION_ID:
        return
    version = _mark(connection, "user_version")
    steps = {1: _UPGRADE + _ADDED_IN_2 + _UPGRADE_2 + _ADDED_IN_3, 2: _UPGRADE_2 + _ADDED_IN_3}
    if version in steps:
        connection.executescript(f"BEGIN IMMEDIATE; {steps[version]} PRAGMA user_version={VERSION}; COMMIT;")


def _check(path: Path, connection: sqlite3.Connection) -> None:
    _check_marks(path, connection)
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{path}: the evidence file is damaged ({_one_line(str(found))}); move it away")


def _check_marks(path: Path, connection: sqlite3.Connection) -> None:
    if _mark(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path}: this is an SQLite file, but not one of evidence")
    version = _mark(connection, "user_version")
    if version != VERSION:
        hint = "; `strangler serve` brings it up to date" if 0 < version < VERSION else ""
        raise StoreError(
            f"{path}: evidence of format {version}; this program reads and writes format {VERSION}{hint}"
        )


def _mark(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def store_error(path: Path, problem: Exception) -> StoreError:
    """The StoreError for what SQLite or the system said."""
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return StoreError(f"{path}: cannot use the evidence file: {_one_line(text)}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()
