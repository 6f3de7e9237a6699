"""The gateways' counters, carried from their sheets into the evidence, and settled when a gateway is gone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from strangler.cutover import CannotWrite
from strangler.evidence import Store
from strangler.exchange import sheet
from strangler.exchange.sheet import GATEWAY_SKIPS, INSTEAD, NOW, TRAFFIC, WAITS, WORKER, Counts, row_of
from strangler.observer.settled import read_settled, write_settled
from strangler.routes import Table, Upstream

#: A sheet is settled when it was found without a holder, and without an open feed, this many times in a row:
#: the last frames of a worker may still be on their way.
SETTLED_AFTER = 4

_LEDGER = frozenset({"handed", *GATEWAY_SKIPS})
#: What the evidence is told, under the names that it has for it.
_TOLD = {name: name for name in _LEDGER} | {name: f"traffic:{name}" for name in (*TRAFFIC, *INSTEAD, *WAITS)}
_NOW = frozenset(NOW)

log = logging.getLogger("strangler.observer")


class Sheets:
    """Reads every sheet in the state folder. `busy(worker)` says that exchanges of a worker are still under way.

    Numbers of workers that are gone are kept there too, those of `rows` and of whatever is on a sheet (settled.py).
    """

    def __init__(
        self, state: Path, store: Store, busy: Callable[[str], bool], rows: Collection[str] = ()
    ) -> None:
        self._state = state
        self._folder = state / "workers"
        self._store = store
        self._busy = busy
        self._final: Counter[str] = Counter()
        self._folding = threading.Lock()  # the folding task and whoever asks for a report both fold
        self._lock = (
            threading.Lock()
        )  # never held for long: /metrics answers while evidence cannot be written
        self._settled = read_settled(state)
        self._told: set[str] = set()  # workers of which the evidence knows what is in `_last`
        self._fault = ""
        # Read before anybody asks: a counter that began lower would be taken for one that began anew.
        self._last: dict[str, Counts] = {}
        self._now: dict[str, Counts] = {}
        for path in self._folder.glob("*.sheet"):
            with contextlib.suppress(OSError, ValueError):
                self._take(path.stem, sheet.read(path))
                if sheet.is_final(path):
                    self._final[path.stem] = 0
        known = {*rows, *(row for counts in self._last.values() for row in counts)}
        self._settled = self._settled.of(known)

    def close_forgotten(self) -> None:
        """Close the accounts of workers that left no sheet (after a power loss): nobody else ever would."""
        for worker in self._store.known_workers - {path.stem for path in self._folder.glob("*.sheet")}:
            self._store.retire(worker)

    def totals(self) -> dict[tuple[str, str], int]:
        """Counts by (row, column), of all workers that there are and ever were.

        Beside the columns of a sheet there is `worker_lost`: what workers that are gone took with them.
        """
        with self._lock:
            totals: Counter[tuple[str, str]] = Counter()
            _add(totals, self._settled.counts)
            for worker, counts in self._last.items():
                if worker not in self._settled.workers:
                    _add(totals, counts)
        return dict(totals)

    def now(self) -> dict[tuple[str, str], int]:
        """By (row, column) what is not counted but so at the moment, over all workers that live."""
        with self._lock:
            now: Counter[tuple[str, str]] = Counter()
            for worker, gauges in self._now.items():
                if worker not in self._final:
                    _add(now, gauges)
        return dict(now)

    def out_of_order(self, upstreams: Iterable[Upstream]) -> frozenset[str]:
        """The names of those of which some living worker knows no endpoint that is in order."""
        with self._lock:
            living = [rows for worker, rows in self._now.items() if worker not in self._final]
        return frozenset(
            upstream.name
            for upstream in upstreams
            if any(all(rows.get(row_of(name), {}).get("out") for name in upstream.apart()) for rows in living)
        )

    @property
    def workers(self) -> int:
        """Workers whose sheets are held."""
        with self._lock:
            return len(self._last.keys() - self._final.keys())

    def fold(self, *, settle_now: bool = False) -> None:
        """Carry over what has changed. `settle_now` does not wait for stragglers: nobody is left to send any."""
        with self._folding:
            for path in sorted(self._folder.glob("*.sheet")):
                with contextlib.suppress(FileNotFoundError):
                    self._one(path, settle_now)

    def _one(self, path: Path, settle_now: bool) -> None:
        worker = path.stem
        if worker in self._settled.workers:  # the process ended between the two
            self._remove(path)
            return
        final = sheet.is_final(path)  # asked before reading: what is read after this is the last word
        try:
            counts = sheet.read(path)
        except ValueError as error:
            if final:
                log.warning("%s; it is removed", error)
                path.unlink()
            return
        if self._take(worker, counts) or worker not in self._told:
            self._store.fold(worker, _told(self._last[worker]))
            self._told.add(worker)
        with self._lock:
            if not final or self._busy(worker):
                self._final.pop(worker, None)
                return
            self._final[worker] += 1
        if settle_now or self._final[worker] >= SETTLED_AFTER:
            self._settle(path, worker, self._last[worker])

    def _take(self, worker: str, rows: Counts) -> bool:
        """Keep what was read of a sheet. True when anything has been counted of a route since."""
        counts, now = _parted(rows)
        with self._lock:
            before, self._last[worker], self._now[worker] = self._last.get(worker), counts, now
        return before is None or _routes(counts) != _routes(before)

    def _settle(self, path: Path, worker: str, counts: Counts) -> None:
        taken = _taken_along(counts)
        self._store.fold(worker, taken)
        handed = {route: columns["handed"] for route, columns in counts.items() if "handed" in columns}
        self._store.lost(worker, handed, "worker_lost")
        self._store.retire(worker)
        if not self._store.flush():
            return  # the sheet may go only when its numbers are safe; settling again later adds nothing twice
        present = {each.stem for each in self._folder.glob("*.sheet")}
        whole = {row: {**columns, **taken.get(row, {})} for row, columns in counts.items()}
        settled = self._settled.with_worker(worker, whole, present)
        try:
            write_settled(self._state, settled)
        except CannotWrite as error:
            if str(error) != self._fault:  # once, not four times a second
                self._fault = str(error)
                log.error("the sheets of workers that are gone stay where they are: %s", error)
            return
        with self._lock:
            self._settled = settled
        self._remove(path)

    def _remove(self, path: Path) -> None:
        """Take away a sheet whose numbers are kept elsewhere."""
        path.unlink(missing_ok=True)
        with self._lock:
            for known in (self._last, self._now, self._final):
                known.pop(path.stem, None)
        self._told.discard(path.stem)


def rows_of(table: Table) -> set[str]:
    """The rows that a table has on a sheet."""
    endpoints = {row_of(name) for upstream in table.upstreams.values() for name in upstream.apart()}
    return {"", WORKER, *endpoints, *(route.name for route in table.routes)}


def _parted(rows: Counts) -> tuple[Counts, Counts]:
    """What is counted, and what is so at the moment. Only rows that are no route's have any of the latter."""
    own = [row for row in rows if row.startswith("/")]
    now = {row: {column: rows[row][column] for column in rows[row] if column in _NOW} for row in own}
    counted = {row: {column: rows[row][column] for column in rows[row] if column not in _NOW} for row in own}
    return rows | counted, now


def _routes(counts: Counts) -> Counts:
    """Without the rows of endpoints and the worker's own."""
    return {row: columns for row, columns in counts.items() if not row.startswith("/")}


def _taken_along(counts: Counts) -> Counts:
    """What was under way in a worker when it died: begun, and neither handed over nor let go."""
    missing = {
        route: columns.get("eligible", 0) - sum(columns.get(column, 0) for column in _LEDGER)
        for route, columns in counts.items()
    }
    return {route: {"worker_lost": count} for route, count in missing.items() if count > 0}


def _told(counts: Counts) -> Counts:
    picked = {
        route: {_TOLD[column]: count for column, count in columns.items() if column in _TOLD}
        for route, columns in _routes(counts).items()
    }
    return {route: columns for route, columns in picked.items() if columns}


def _add(totals: Counter[tuple[str, str]], counts: Mapping[str, Mapping[str, int]]) -> None:
    for route, columns in counts.items():
        for column, count in columns.items():
            totals[route, column] += count
