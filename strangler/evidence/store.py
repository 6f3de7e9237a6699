"""Evidence in SQLite: one writer thread, fed by a bounded queue, committing in batches.

Nothing here ever blocks the one who records. When the queue is full, or the disk is, `record` says False and
the exchange is counted as skipped under `store_full` as soon as something can be written again; when that
never comes, it stays pending in the coverage ledger until `lost` settles it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

from strangler.evidence.books import Batch, Books, Entry, Fold, Lost, Mark, Retired
from strangler.evidence.observation import Observation
from strangler.evidence.retention import Keep
from strangler.evidence.schema import StoreError, open_for_writing, redaction_key

#: A batch is committed when it has this many entries or its first has waited this long (seconds).
BATCH: Final = 256
PATIENCE: Final = 0.1
#: Observations the queue holds. Each may carry two bodies of 4 KiB.
QUEUE: Final = 10_000
#: Waiting times between attempts to write while writing fails (seconds).
_FIRST_RETRY: Final = 0.1
_LAST_RETRY: Final = 5.0


class Store:
    """The evidence file, open for writing. A context manager; `close` commits what is queued."""

    def __init__(self, connection: sqlite3.Connection, key: bytes, random: Random, queue: int) -> None:
        self._connection = connection
        self.key = key
        """What values are redacted under before they are recorded: 32 bytes, kept beside the file, not in it."""
        self._books = Books(connection, random)
        self.known_workers: frozenset[str] = self._books.workers
        """Workers of an earlier run whose accounts are still open: settle those that are gone."""
        self._room = queue
        self._entries: deque[tuple[int, Entry]] = deque()  # with the number of the call that gave it
        self._folds: dict[str, Fold] = {}  # queued ones that newer counters may still be put into
        self._refused: dict[tuple[str, str, str], int] = {}
        self._given = 0  # calls taken so far; `_committed` is how many of them are in the file
        self._committed = 0
        self._hurry = False
        self._closing = False
        self._failing = False
        self._ended = False
        self.faults = 0
        """How often writing has failed since the store was opened."""
        self.last_fault = ""
        """What the last failure said; stays after recovery."""
        self._booked: Counter[tuple[str, str]] = Counter()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="evidence-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, *, random: Random | None = None, queue: int = QUEUE) -> Self:
        """Open or make the file. Raises StoreError; never deletes or replaces what it cannot read."""
        connection = open_for_writing(path)
        try:
            key = redaction_key(path, connection)
        except StoreError:
            connection.close()
            raise
        return cls(connection, key, random or Random(), queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failing

    @property
    def queued(self) -> int:
        """Entries waiting to be written."""
        return len(self._entries)

    def booked(self) -> dict[tuple[str, str], int]:
        """What has become of exchanges that were handed over, since the store was opened and as far as it is in the
        file: by route and outcome (`match`, `transient`, `mismatch`, `skipped`), and by route and reason to skip.

        Reasons that a gateway worker has counted itself are not in it.
        """
        with self._changed:
            return dict(self._booked)

    def record(self, observation: Observation) -> bool:
        """Queue an observation. False: no room, it is counted as skipped under `store_full` instead."""
        with self._changed:
            self._given += 1
            if self._closing or self._failing or len(self._entries) >= self._room:
                key = (observation.worker, observation.route, "store_full")
                self._refused[key] = self._refused.get(key, 0) + 1
                return False
            self._entries.append((self._given, observation))
            # The writer sleeps until there is something, and again until there is enough.
            if len(self._entries) in (1, BATCH):
                self._changed.notify_all()
            return True

    def fold(self, worker: str, counters: Mapping[str, Mapping[str, int]]) -> None:
        """Take a gateway worker's cumulative counters: route -> name -> count; only growth is added.

        The name `handed` is what the worker handed over; names that begin with `traffic:` are answers, failures and
        waits; every other name is a reason to skip.
        """
        with self._changed:
            fold = self._folds.get(worker)
            if fold is None:
                fold = self._folds[worker] = Fold(worker)
                self._put(fold)
            else:
                # Cumulative, so the last one says it all: a writer that cannot write gathers no backlog.
                self._given += 1
            fold.update(counters)
            fold.at = time.time()

    def lost(self, worker: str, handed: Mapping[str, int], reason: str) -> None:
        """Settle as skipped[`reason`] what a worker handed over and is neither recorded nor lost by now.

        `handed` is cumulative per route. Routes that it does not name, and whatever the worker handed over
        after these numbers, are left as they are.
        """
        with self._changed:
            self._folds.pop(worker, None)  # counters told from here on belong behind this
            self._put(Lost(worker, dict(handed), reason))

    def retire(self, worker: str) -> None:
        """Close a gone worker's accounts. What is still pending is lost under `worker_lost`."""
        with self._changed:
            self._folds.pop(worker, None)
            self._put(Retired(worker))

    def mark(self, route: str) -> None:
        """From here on count the different requests and callers of a route anew, beside those of all time."""
        with self._changed:
            self._put(Mark(route))

    def forget(self, since: float, size: int) -> None:
        """Let go of what was last added to before `since` (Unix seconds), and of what is beyond `size` bytes."""
        with self._changed:
            self._put(Keep(since, size))

    def flush(self, timeout: float = 30.0) -> bool:
        """Block until all that was given before is in the file; False after `timeout` seconds in vain."""
        with self._changed:
            ticket = self._given
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._committed >= ticket or self._ended, timeout)
            return self._committed >= ticket

    def close(self) -> None:
        """Commit what is queued (one attempt) and close the file. Calling it again does nothing."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()

    def _put(self, entry: Entry) -> None:
        """Queue an entry that cannot be refused. The lock is held."""
        self._given += 1
        self._entries.append((self._given, entry))
        self._changed.notify_all()

    # -- the writer thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._write_next():
                pass
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _write_next(self) -> bool:
        """Wait for work, write one batch, and say whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_work() or self._closing)
            if not self._closing:
                self._changed.wait_for(self._is_due, PATIENCE)
            batch, ticket = self._take()
        if not self._commit(batch):
            return False
        with self._changed:
            self._committed = max(self._committed, ticket)
            self._hurry = self._hurry and self._committed < self._given
            self._changed.notify_all()
            return self._has_work() or not self._closing

    def _has_work(self) -> bool:
        return bool(self._entries or self._refused)

    def _is_due(self) -> bool:
        return self._hurry or self._closing or len(self._entries) >= BATCH

    def _take(self) -> tuple[Batch, int]:
        """The next batch, and the number of the last call that is answered once it is in the file."""
        entries = [self._entries.popleft()[1] for _ in range(min(BATCH, len(self._entries)))]
        for entry in entries:
            if isinstance(entry, Fold) and self._folds.get(entry.worker) is entry:
                del self._folds[entry.worker]
        batch = Batch(entries, self._refused)
        self._refused = {}
        return batch, self._entries[0][0] - 1 if self._entries else self._given

    def _commit(self, batch: Batch) -> bool:
        """Write a batch, again and again until it is in the file; False when closing and it cannot be."""
        delay = _FIRST_RETRY
        while True:
            try:
                self._apply(batch)
            except Exception as problem:
                self._fault(problem)
                if not _may_pass(problem):
                    batch = self._without_poison(batch)
                    continue
            else:
                self._failing = False
                return True
            with self._changed:
                if self._closing and self._failing:
                    return False
                self._failing = True
                self._changed.wait_for(lambda: self._closing, delay)
            delay = min(2 * delay, _LAST_RETRY)

    def _apply(self, batch: Batch) -> None:
        booked = self._books.apply(batch)
        with self._changed:
            self._booked.update(booked)
        try:
            self._books.give_back_room()
        except sqlite3.Error as problem:  # the batch is in the file, and must not be written again for this
            self._fault(problem)

    def _without_poison(self, batch: Batch) -> Batch:
        """Write the entries one by one and give back what is left to write.

        An observation that SQLite will not take, for whatever is in it, is counted and spoils no other.
        """
        if not batch.entries:
            return Batch()  # the counts themselves are what it will not take: they stay pending
        left = Batch(refused=dict(batch.refused))
        for place, entry in enumerate(batch.entries):
            try:
                self._apply(Batch([entry]))
            except Exception as problem:
                self._fault(problem)
                if _may_pass(problem):
                    left.entries = batch.entries[place:]
                    return left
                if isinstance(entry, Observation):
                    key = (entry.worker, entry.route, "store_error")
                    left.refused[key] = left.refused.get(key, 0) + 1
        return left

    def _fault(self, problem: Exception) -> None:
        self.faults += 1
        self.last_fault = f"{type(problem).__name__}: {' '.join(str(problem).split())}"


def _may_pass(problem: Exception) -> bool:
    """Whether the fault is the file's (full, locked, unreadable) and not that of what is written."""
    return isinstance(problem, sqlite3.OperationalError) or type(problem) is sqlite3.DatabaseError
