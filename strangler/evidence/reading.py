"""Evidence read back: a consistent picture, while the writer runs and when nobody does."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
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


def read(path: Path, *, bodies: bool = True) -> Evidence:
    """All evidence in the file, route by route; empty when there is no file yet. Raises StoreError.

    Examples without `bodies` are much smaller, and enough for a report.
    """
    if not path.exists():
        return {}
    connection = open_for_reading(path)
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        return _evidence(connection, bodies)
    except sqlite3.Error as problem:
        raise store_error(path, problem) from problem
    finally:
        connection.close()


def _evidence(sql: sqlite3.Connection, bodies: bool) -> Evidence:
    tallies = _tallies(sql)
    sightings = _sightings(sql, bodies)
    combinations, fields = _combinations(sql), _fields(sql)
    pairs: defaultdict[str, list[PairEvidence]] = defaultdict(list)
    for pair, route, legacy, extracted, since, until, unlisted in sql.execute(
        "SELECT id, route, legacy, extracted, since, until, unlisted FROM pair ORDER BY seen"
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
    for route, pending in _pending(sql).items():
        if not pairs[route]:
            pairs[route].append(PairEvidence(UNKNOWN, Tally()))
        pairs[route][-1].tally.skipped[PENDING] += pending
    return {route: RouteEvidence(route, tuple(found)) for route, found in pairs.items()}


def read_outcomes(path: Path) -> Evidence:
    """As `read`, but with only what tells the outcomes of the compared exchanges, which is much less: of the tallies
    the outcomes, of the fingerprints no examples. Raises StoreError."""
    if not path.exists():
        return {}
    connection = open_for_reading(path)
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        return _outcomes(connection)
    except sqlite3.Error as problem:
        raise store_error(path, problem) from problem
    finally:
        connection.close()


def _outcomes(sql: sqlite3.Connection) -> Evidence:
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    for pair, outcome, count in sql.execute("SELECT pair, outcome, count FROM outcome"):
        tallies[pair].outcomes[outcome] = count
    sightings: _Rows = defaultdict(list)
    for pair, identity, method, place, path, kind, count in sql.execute(
        "SELECT pair, id, method, place, path, kind, count FROM fingerprint"
    ):
        difference = Difference(cast(Where, place), path, cast(Kind, kind), "", "")
        sightings[pair].append(Sighting(identity, method, difference, count, 0.0, 0.0))
    combinations, fields = _combinations(sql), _fields(sql)
    pairs: defaultdict[str, list[PairEvidence]] = defaultdict(list)
    for pair, route, *releases in sql.execute("SELECT id, route, legacy, extracted FROM pair ORDER BY seen"):
        seen = tuple(sightings[pair])
        found = PairEvidence(Releases(*releases), tallies[pair], seen, 0, combinations[pair], fields[pair])
        pairs[route].append(found)
    return {route: RouteEvidence(route, tuple(found)) for route, found in pairs.items()}


def read_served(path: Path) -> list[Served]:
    """Who was asked in which hour, the oldest first; empty when there is no file yet. Raises StoreError."""
    if not path.exists():
        return []
    connection = open_for_reading(path)
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return []
        return [
            Served(*row)
            for row in connection.execute("SELECT hour, route, name, count FROM served ORDER BY hour")
        ]
    except sqlite3.Error as problem:
        raise store_error(path, problem) from problem
    finally:
        connection.close()


def _combinations(sql: sqlite3.Connection) -> defaultdict[int, dict[str, int]]:
    return _by_pair(sql.execute("SELECT pair, members, count FROM combination"))


def _fields(sql: sqlite3.Connection) -> defaultdict[int, dict[str, FieldTally]]:
    return _by_pair(
        (pair, name, FieldTally(*counts))
        for pair, name, *counts in sql.execute("SELECT pair, id, both, itself, sides, type, size FROM field")
    )


def _by_pair(rows: Iterable[tuple[int, str, Any]]) -> defaultdict[int, dict[str, Any]]:
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for pair, name, value in rows:
        found[pair][name] = value
    return found


def _tallies(sql: sqlite3.Connection) -> defaultdict[int, Tally]:
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    for pair, outcome, count in sql.execute("SELECT pair, outcome, count FROM outcome"):
        tallies[pair].outcomes[outcome] = count
    for pair, reason, count in sql.execute("SELECT pair, reason, count FROM skip"):
        tallies[pair].skipped[reason] = count
    for pair, legacy, extracted, count in sql.execute("SELECT pair, legacy, extracted, count FROM status"):
        tallies[pair].statuses[legacy, extracted] = count
    for pair, side, bucket, count in sql.execute("SELECT pair, side, bucket, count FROM latency"):
        histogram: Histogram = getattr(tallies[pair], f"{side}_ms")
        histogram.buckets[bucket] = count
    for pair, rule, count in sql.execute("SELECT pair, rule, count FROM rule"):
        tallies[pair].rules[rule] = count
    for pair, name, count in sql.execute("SELECT pair, name, count FROM traffic"):
        tallies[pair].traffic[name] = count
    for pair, probes, *sketches in sql.execute(
        "SELECT id, probes, requests, callers, recent_requests, recent_callers FROM pair"
    ):
        tally = tallies[pair]
        tally.probes = probes
        tally.requests, tally.callers, tally.recent_requests, tally.recent_callers = map(
            Distinct.of, sketches
        )
    return tallies


def _pending(sql: sqlite3.Connection) -> Mapping[str, int]:
    # Per worker: one whose fold comes late must not hide what another has in flight.
    return dict(
        sql.execute(
            "SELECT route, sum(handed - recorded - lost) FROM account"
            " WHERE handed > recorded + lost GROUP BY route"
        ).fetchall()
    )


def _sightings(sql: sqlite3.Connection, bodies: bool) -> _Rows:
    examples: defaultdict[tuple[int, str], list[Kept]] = defaultdict(list)
    columns = "legacy_body, extracted_body" if bodies else "'', ''"
    for pair, identity, *shown in sql.execute(
        "SELECT pair, fingerprint, at, method, target, legacy_value, extracted_value,"
        f" {columns} FROM example ORDER BY pair, fingerprint, at, slot"
    ):
        examples[pair, identity].append(Kept(*shown))
    sightings: _Rows = defaultdict(list)
    for pair, identity, method, place, path, kind, legacy, extracted, *seen in sql.execute(
        "SELECT pair, id, method, place, path, kind, legacy, extracted, count, first_seen, last_seen, gone,"
        " requests, callers FROM fingerprint ORDER BY pair, id"
    ):
        difference = Difference(cast(Where, place), path, cast(Kind, kind), legacy, extracted)
        kept = tuple(examples[pair, identity])
        count, first, last, gone, *sketches = seen
        requests, callers = (Distinct.of(sketch, FEW).count() for sketch in sketches)
        sightings[pair].append(
            Sighting(identity, method, difference, count, first, last, kept, gone, requests, callers)
        )
    return sightings
