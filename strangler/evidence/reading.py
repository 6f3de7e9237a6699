"""Evidence read back: a consistent picture, while the writer runs and when nobody does."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from strangler.compare import Difference, FieldTally, Kind, Where
from strangler.evidence.model import Evidence, Kept, PairEvidence, RouteEvidence, Served, Sighting
from strangler.evidence.observation import UNKNOWN, Releases
from strangler.evidence.schema import open_for_reading, store_error
from strangler.evidence.sightings import FEW
from strangler.evidence.sketch import Distinct
from strangler.evidence.tally import Histogram, Tally

_Rows = defaultdict[int, list[Any]]

#: The reason under which a report counts what is handed over, and neither recorded nor lost, right now.
PENDING: Final = "pending"


def read(path: Path, *, bodies: bool = True, route: str | None = None) -> Evidence:
    """All evidence in the file, route by route, or that of one route; empty when there is no file yet.

    Examples without `bodies` are much smaller, and enough for a report. Raises StoreError.
    """
    with _opened(path, route) as file:
        return {} if file is None else _evidence(file, bodies)


def read_outcomes(path: Path, *, route: str | None = None) -> Evidence:
    """As `read`, but with only what tells the outcomes of the compared exchanges, which is much less: of the tallies
    the outcomes, of the fingerprints no examples. Raises StoreError."""
    with _opened(path, route) as file:
        return {} if file is None else _outcomes(file)


def read_served(path: Path) -> list[Served]:
    """Who was asked in which hour, the oldest first; empty when there is no file yet. Raises StoreError."""
    with _opened(path) as file:
        if file is None:
            return []
        rows = file.sql.execute("SELECT hour, route, name, count FROM served ORDER BY hour")
        return [Served(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class _File:
    """An open file, of which all is asked, or what belongs to one route."""

    sql: sqlite3.Connection
    route: str | None

    def pairs(self, columns: str) -> Iterable[tuple[Any, ...]]:
        """The pairs of releases, of each route the current one last."""
        where = "" if self.route is None else " WHERE route = :route"
        return self.sql.execute(f"SELECT {columns} FROM pair{where} ORDER BY seen", {"route": self.route})

    def rows(self, query: str, order: str = "") -> Iterable[tuple[Any, ...]]:
        """The rows of a table that has a column `pair`."""
        where = "" if self.route is None else " WHERE pair IN (SELECT id FROM pair WHERE route = :route)"
        return self.sql.execute(f"{query}{where}{order}", {"route": self.route})


@contextmanager
def _opened(path: Path, route: str | None = None) -> Iterator[_File | None]:
    """The file, for reading; None when there is none yet, or nothing in it."""
    if not path.exists():
        yield None
        return
    connection = open_for_reading(path)
    try:
        empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        yield None if empty else _File(connection, route)
    except sqlite3.Error as problem:
        raise store_error(path, problem) from problem
    finally:
        connection.close()


def _evidence(file: _File, bodies: bool) -> Evidence:
    tallies = _tallies(file)
    sightings = _sightings(file, bodies)
    combinations, fields = _combinations(file), _fields(file)
    pairs: defaultdict[str, list[PairEvidence]] = defaultdict(list)
    for pair, route, legacy, extracted, since, until, unlisted in file.pairs(
        "id, route, legacy, extracted, since, until, unlisted"
    ):
        tally = tallies[pair]
        tally.since, tally.until = since, until
        pairs[route].append(
            PairEvidence(
                Releases(legacy, extracted),
                tally,
                tuple(sightings[pair]),
                unlisted,
                combinations[pair],
                fields[pair],
            )
        )
    for route, pending in _pending(file).items():
        if not pairs[route]:
            pairs[route].append(PairEvidence(UNKNOWN, Tally()))
        pairs[route][-1].tally.skipped[PENDING] += pending
    return {route: RouteEvidence(route, tuple(found)) for route, found in pairs.items()}


def _outcomes(file: _File) -> Evidence:
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    for pair, outcome, count in file.rows("SELECT pair, outcome, count FROM outcome"):
        tallies[pair].outcomes[outcome] = count
    sightings: _Rows = defaultdict(list)
    for pair, identity, method, place, path, kind, count in file.rows(
        "SELECT pair, id, method, place, path, kind, count FROM fingerprint"
    ):
        difference = Difference(cast(Where, place), path, cast(Kind, kind), "", "")
        sightings[pair].append(Sighting(identity, method, difference, count, 0.0, 0.0))
    combinations, fields = _combinations(file), _fields(file)
    pairs: defaultdict[str, list[PairEvidence]] = defaultdict(list)
    for pair, route, legacy, extracted, since, until in file.pairs(
        "id, route, legacy, extracted, since, until"
    ):
        tally, seen = tallies[pair], tuple(sightings[pair])
        tally.since, tally.until = since, until
        found = PairEvidence(Releases(legacy, extracted), tally, seen, 0, combinations[pair], fields[pair])
        pairs[route].append(found)
    return {route: RouteEvidence(route, tuple(found)) for route, found in pairs.items()}


def _combinations(file: _File) -> defaultdict[int, dict[str, int]]:
    return _by_pair(file.rows("SELECT pair, members, count FROM combination"))


def _fields(file: _File) -> defaultdict[int, dict[str, FieldTally]]:
    return _by_pair(
        (pair, name, FieldTally(*counts))
        for pair, name, *counts in file.rows("SELECT pair, id, both, itself, sides, type, size FROM field")
    )


def _by_pair(rows: Iterable[tuple[Any, ...]]) -> defaultdict[int, dict[str, Any]]:
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for pair, name, value in rows:
        found[pair][name] = value
    return found


def _tallies(file: _File) -> defaultdict[int, Tally]:
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    for pair, outcome, count in file.rows("SELECT pair, outcome, count FROM outcome"):
        tallies[pair].outcomes[outcome] = count
    for pair, reason, count in file.rows("SELECT pair, reason, count FROM skip"):
        tallies[pair].skipped[reason] = count
    for pair, legacy, extracted, count in file.rows("SELECT pair, legacy, extracted, count FROM status"):
        tallies[pair].statuses[legacy, extracted] = count
    for pair, side, bucket, count in file.rows("SELECT pair, side, bucket, count FROM latency"):
        histogram: Histogram = getattr(tallies[pair], f"{side}_ms")
        histogram.buckets[bucket] = count
    for pair, rule, count in file.rows("SELECT pair, rule, count FROM rule"):
        tallies[pair].rules[rule] = count
    for pair, name, count in file.rows("SELECT pair, name, count FROM traffic"):
        tallies[pair].traffic[name] = count
    for pair, probes, *sketches in file.pairs(
        "id, probes, requests, callers, recent_requests, recent_callers"
    ):
        tally = tallies[pair]
        tally.probes = probes
        tally.requests, tally.callers, tally.recent_requests, tally.recent_callers = map(
            Distinct.of, sketches
        )
    return tallies


def _pending(file: _File) -> Mapping[str, int]:
    # Per worker: one whose fold comes late must not hide what another has in flight.
    only = "" if file.route is None else " AND route = :route"
    rows = file.sql.execute(
        "SELECT route, sum(handed - recorded - lost) FROM account"
        f" WHERE handed > recorded + lost{only} GROUP BY route",
        {"route": file.route},
    )
    return dict(rows.fetchall())


def _sightings(file: _File, bodies: bool) -> _Rows:
    examples: defaultdict[tuple[int, str], list[Kept]] = defaultdict(list)
    columns = "legacy_body, extracted_body" if bodies else "'', ''"
    for pair, identity, *shown in file.rows(
        "SELECT pair, fingerprint, at, method, target, legacy_value, extracted_value,"
        f" {columns} FROM example",
        " ORDER BY pair, fingerprint, at, slot",
    ):
        examples[pair, identity].append(Kept(*shown))
    sightings: _Rows = defaultdict(list)
    for pair, identity, method, place, path, kind, legacy, extracted, *seen in file.rows(
        "SELECT pair, id, method, place, path, kind, legacy, extracted, count, first_seen, last_seen, gone,"
        " requests, callers FROM fingerprint",
        " ORDER BY pair, id",
    ):
        difference = Difference(cast(Where, place), path, cast(Kind, kind), legacy, extracted)
        kept = tuple(examples[pair, identity])
        count, first, last, gone, *sketches = seen
        requests, callers = (Distinct.of(sketch, FEW).count() for sketch in sketches)
        sightings[pair].append(
            Sighting(identity, method, difference, count, first, last, kept, gone, requests, callers)
        )
    return sightings
