"""What workers that are gone have counted, kept in the state folder so that no counter on /metrics ever goes back.

A sheet's numbers go into the file before the sheet goes. Between the two the process may die, so the file names the
workers that are in it: a sheet of one of these is removed, and not counted again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from strangler.cutover import CutoverError
from strangler.cutover.whole import read_kept, write_kept
from strangler.exchange.sheet import Counts

NAME: Final = "counters.json"

log = logging.getLogger("strangler.observer")


class Settled(msgspec.Struct, frozen=True):
    """Row -> column -> count, over all workers that are gone. `workers`: those whose sheets may still be there."""

    counts: Mapping[str, Mapping[str, int]] = {}
    workers: tuple[str, ...] = ()

    def with_worker(self, worker: str, counts: Counts, present: Collection[str]) -> Settled:
        """With one worker more. `present` are the workers whose sheets are still there."""
        rows = {row: dict(columns) for row, columns in self.counts.items()}
        for row, columns in counts.items():
            into = rows.setdefault(row, {})
            for column, count in columns.items():
                into[column] = into.get(column, 0) + count
        return Settled(rows, (*(each for each in self.workers if each in present), worker))

    def of(self, rows: Collection[str]) -> Settled:
        """Without rows that nobody knows any more: routes and endpoints come and go, and the file must not grow."""
        return Settled({row: columns for row, columns in self.counts.items() if row in rows}, self.workers)


def read_settled(state: Path) -> Settled:
    """What is kept; nothing when the file cannot be understood, and the log says so."""
    try:
        return read_kept(state / NAME, Settled) or Settled()
    except CutoverError as error:
        log.error("%s; the counters begin anew", error)
        return Settled()


def write_settled(state: Path, settled: Settled) -> None:
    """Keep it. Raises CannotWrite; then the file is as it was."""
    write_kept(state / NAME, settled)
