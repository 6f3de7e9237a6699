"""The ledger: who changed which route, when, from what, to what, why and on what evidence.

One JSON object a line in `ledger.jsonl`, only ever appended to, each line on disk before it counts. Every
entry carries the hash of the one before it, so an entry that was altered, removed or put in between shows.
What a chain alone cannot show is that its last entries were cut off: keep a copy of the last hash elsewhere
where that matters.

A crash in the middle of a line leaves a torn line. It was never part of the chain (nothing acts on an entry
before it is on disk), so readers report it and go on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from strangler.cutover.errors import CannotWrite

#: What an entry may be about. A newer release may know more.
Key = Literal["share", "shadow", "release", "route", "ramp"]

NAME = "ledger.jsonl"
#: What the first entry names as the one before it.
GENESIS = "0" * 64


class Entry(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One change of one value. `at` is ISO 8601 UTC; the file hashes are SHA-256 of routes.yaml's bytes."""

    at: str
    who: str
    route: str
    key: str  # a Key
    from_: str
    to: str
    why: str
    file_before: str
    file_after: str
    evidence: str  # the verdict at the time, "" when nobody looked
    prev: str = ""
    hash: str = ""

    def sealed(self) -> Entry:
        """The same entry with its hash: SHA-256 over its other fields as JSON, in their fixed order."""
        bare = msgspec.structs.replace(self, hash="")
        digest = hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
        return msgspec.structs.replace(self, hash=digest)


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger says. `numbers` are those of the entries, counted from 1 over the whole ledger.

    `torn` is what crashes left, `broken` is where the chain does not hold, `outside` is where routes.yaml was changed
    by other means (an editor, a deployment) between two entries.
    """

    entries: tuple[Entry, ...] = ()
    torn: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


def read(state_dir: Path, route: str | None = None) -> History:
    """The ledger, of one route if named; the chain is checked over all of it. Raises CannotWrite."""
    path = state_dir / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise CannotWrite(f"cannot read {path}: {error.strerror}") from None
    history = _understand(data)
    if route is None:
        return history
    chosen = [(n, entry) for n, entry in enumerate(history.entries, start=1) if entry.route == route]
    return History(
        tuple(entry for _, entry in chosen),
        history.torn,
        history.broken,
        history.outside,
        tuple(number for number, _ in chosen),
    )


def append(state_dir: Path, entry: Entry) -> Entry:
    """Link the entry to the last one, write it, and return it once it is on disk. Raises CannotWrite.

    `prev` and `hash` of the entry given are ignored. The caller holds the lock.
    """
    return append_all(state_dir, [entry])[0]


def append_all(state_dir: Path, entries: Sequence[Entry]) -> list[Entry]:
    """As `append`, for several entries in one write."""
    path = state_dir / NAME
    try:
        return _append(path, entries)
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}") from None


def _append(path: Path, entries: Sequence[Entry]) -> list[Entry]:
    born = not path.exists()
    linked: list[Entry] = []
    with path.open("a+b") as file:
        file.seek(0)
        data = file.read()
        before = _understand(data).entries
        prev = before[-1].hash if before else GENESIS
        for entry in entries:
            linked.append(msgspec.structs.replace(entry, prev=prev).sealed())
            prev = linked[-1].hash
        # A torn line is closed, not cut off: the file is only ever appended to.
        healing = b"" if not data or data.endswith(b"\n") else b"\n"
        try:
            file.write(healing + b"".join(msgspec.json.encode(entry) + b"\n" for entry in linked))
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            file.truncate(len(data))  # a full disk must not leave half an entry
            raise
    if born:
        sync_folder(path.parent)
    return linked


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk, so that a rename or a new file survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _understand(data: bytes) -> History:
    entries: list[Entry] = []
    torn: list[str] = []
    broken: list[str] = []
    outside: list[str] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            torn.append(
                f"{NAME}:{number}: not a whole entry; a crash while it was written leaves such a line"
            )
            continue
        _check(entry, number, entries, broken, outside)
        entries.append(entry)
    numbers = tuple(range(1, len(entries) + 1))
    return History(tuple(entries), tuple(torn), tuple(broken), tuple(outside), numbers)


def _check(entry: Entry, number: int, before: list[Entry], broken: list[str], outside: list[str]) -> None:
    if entry.sealed().hash != entry.hash:
        broken.append(f"{NAME}:{number}: this entry was altered after it was written")
    if entry.prev != (before[-1].hash if before else GENESIS):
        broken.append(f"{NAME}:{number}: an entry before this one was removed, added or altered")
    if before and entry.file_before != before[-1].file_after:
        outside.append(f"{NAME}:{number}: routes.yaml was changed by other means before this entry")
