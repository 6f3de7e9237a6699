"""Requests that can be asked again: a random sample of the safe ones of each pair of releases.

Method and target only, and only targets in which nothing had to be redacted: no header and no body is ever written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from strangler.compare import MARK
from strangler.evidence.model import Evidence
from strangler.evidence.observation import Observation
from strangler.evidence.schema import open_for_reading, store_error

#: Requests kept of each pair of releases: a random sample of all (Vitter 1985, algorithm R).
RECORDED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that was seen: when (Unix seconds), on which route, and what was asked."""

    at: float
    route: str
    method: str
    target: str


class Sample:
    """Keeps the sample while observations come in. Used by one thread only, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, random: Random) -> None:
        self._sql = connection
        self._random = random
        self._seen: dict[int, int] = {}

    def add(self, pair: int, seen: Observation) -> None:
        """Perhaps keep the request of an observation."""
        if pair not in self._seen:
            row = self._sql.execute("SELECT recorded FROM pair WHERE id = ?", (pair,)).fetchone()
            self._seen[pair] = int(row[0])
        count = self._seen[pair] = self._seen[pair] + 1
        slot = count - 1 if count <= RECORDED else self._random.randrange(count)
        if slot < RECORDED:
            self._sql.execute(
                "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?, ?)",
                (pair, slot, seen.at, seen.method, seen.target),
            )

    def write(self) -> None:
        """Write how many there were."""
        self._sql.executemany(
            "UPDATE pair SET recorded = ? WHERE id = ?", [(count, pair) for pair, count in self._seen.items()]
        )


def read_recorded(path: Path, route: str | None = None) -> list[Recorded]:
    """The sampled requests, each once, oldest first; of one route if named. Raises StoreError."""
    if not path.exists():
        return []
    sql = open_for_reading(path)
    try:
        rows = sql.execute(
            "SELECT max(request.at), pair.route, request.method, request.target"
            " FROM request JOIN pair ON pair.id = request.pair WHERE ?1 IS NULL OR pair.route = ?1"
            " GROUP BY pair.route, request.method, request.target ORDER BY 1",
            (route,),
        )
        return [Recorded(*row) for row in rows]
    except sqlite3.Error as problem:
        raise store_error(path, problem) from problem
    finally:
        sql.close()


def examples_of(evidence: Evidence, identity: str) -> list[Recorded]:
    """The requests that are kept as examples of a fingerprint, without those in which something was redacted."""
    found: dict[tuple[str, str, str], Recorded] = {}
    for route in evidence.values():
        for sighting in (seen for pair in route.pairs for seen in pair.sightings if seen.id == identity):
            for kept in sighting.examples:
                if can_be_asked(kept.target):
                    key = (route.route, kept.method, kept.target)
                    found[key] = Recorded(kept.at, route.route, kept.method, kept.target)
    return list(found.values())


def can_be_asked(target: str) -> bool:
    """Whether a redacted target is still what was asked."""
    return MARK.search(target) is None


def within(found: Iterable[Recorded], since: float, until: float) -> list[Recorded]:
    """Those that were asked in a window of Unix time."""
    return [each for each in found if since <= each.at <= until]
