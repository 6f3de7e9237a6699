"""The gateways' counters, carried from their sheets into the evidence, and settled when a gateway is gone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from strangler.evidence import Store
from strangler.exchange import sheet
from strangler.exchange.sheet import GATEWAY_SKIPS, INSTEAD, TRAFFIC, WAITS, Counts

#: A sheet is settled when it was found without a holder, and without an open feed, this many times in a row:
#: the last frames of a worker may still be on their way.
SETTLED_AFTER = 4

_LEDGER = frozenset({"handed", *GATEWAY_SKIPS})
#: What the evidence is told, under the names that it has for it.
_TOLD = {name: name for name in _LEDGER} | {name: f"traffic:{name}" for name in (*TRAFFIC, *INSTEAD, *WAITS)}

log = logging.getLogger("strangler.observer")


class Sheets:
    """Reads every sheet under `folder`. `busy(worker)` says that exchanges of a worker are still under way."""

    def __init__(self, folder: Path, store: Store, busy: Callable[[str], bool]) -> None:
        self._folder = folder
        self._store = store
        self._busy = busy
        self._last: dict[str, Counts] = {}
        self._final: Counter[str] = Counter()
        self._gone: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()  # the folding task and whoever asks for a report both fold

    def close_forgotten(self) -> None:
        """Close the accounts of workers that left no sheet (after a power loss): nobody else ever would."""
        for worker in self._store.known_workers - {path.stem for path in self._folder.glob("*.sheet")}:
            self._store.retire(worker)

    def totals(self) -> dict[tuple[str, str], int]:
        """Counts by (route, column), of all workers that live or were settled in this process's life."""
        with self._lock:
            totals = Counter(self._gone)
            for counts in self._last.values():
                _add(totals, counts)
        return dict(totals)

    def out(self) -> dict[str, int]:
        """Rows of endpoints, and for how many of the workers that live they are out of order."""
        with self._lock:
            living = [counts for worker, counts in self._last.items() if worker not in self._final]
        rows = {row for counts in living for row in counts if row.startswith("/")}
        return {row: sum(_is_out(counts.get(row, {})) for counts in living) for row in rows}

    @property
    def workers(self) -> int:
        """Workers whose sheets are held."""
        return len(self._last) - sum(1 for worker in self._final if worker in self._last)

    def fold(self, *, settle_now: bool = False) -> None:
        """Carry over what has changed. `settle_now` does not wait for stragglers: nobody is left to send any."""
        with self._lock:
            for path in sorted(self._folder.glob("*.sheet")):
                with contextlib.suppress(FileNotFoundError):
                    self._one(path, settle_now)

    def _one(self, path: Path, settle_now: bool) -> None:
        worker = path.stem
        final = sheet.is_final(path)  # asked before reading: what is read after this is the last word
        try:
            counts = sheet.read(path)
        except ValueError as error:
            if final:
                log.warning("%s; it is removed", error)
                path.unlink()
            return
        if counts != self._last.get(worker):
            self._store.fold(worker, _told(counts))
            self._last[worker] = counts
        if not final or self._busy(worker):
            self._final.pop(worker, None)
            return
        self._final[worker] += 1
        if settle_now or self._final[worker] >= SETTLED_AFTER:
            self._settle(path, worker, counts)

    def _settle(self, path: Path, worker: str, counts: Counts) -> None:
        self._store.fold(worker, _taken_along(counts))
        handed = {route: columns["handed"] for route, columns in counts.items() if "handed" in columns}
        self._store.lost(worker, handed, "worker_lost")
        self._store.retire(worker)
        if not self._store.flush():
            return  # the sheet may go only when its numbers are safe; settling again later adds nothing twice
        path.unlink()
        _add(self._gone, counts)
        self._last.pop(worker, None)
        self._final.pop(worker, None)


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
        for route, columns in counts.items()
        if not route.startswith("/")  # an endpoint's row
    }
    return {route: columns for route, columns in picked.items() if columns}


def _is_out(columns: dict[str, int]) -> bool:
    return columns.get("opened", 0) > columns.get("closed", 0)


def _add(totals: Counter[tuple[str, str]], counts: Counts) -> None:
    for route, columns in counts.items():
        for column, count in columns.items():
            totals[route, column] += count
