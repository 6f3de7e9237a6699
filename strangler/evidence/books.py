"""The coverage ledger in SQL: one batch of work is one transaction.

For every gateway worker and route there is an account: how many exchanges the worker handed over, how many of
them were recorded as observations, how many were lost. What is handed over and neither recorded nor lost is
pending. A crash between two batches therefore loses no exchange from the count: it stays pending until
somebody says that it is lost.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from strangler.evidence.observation import UNKNOWN, Observation, Releases
from strangler.evidence.recorded import Sample
from strangler.evidence.retention import Keep, forget, shrink
from strangler.evidence.sightings import Sightings
from strangler.evidence.sketch import Distinct
from strangler.evidence.tally import Histogram, Tally

#: The histograms of a tally, under the names that the table `latency` has them.
HISTOGRAMS: Final = (
    *("legacy", "extracted", "slower", "faster", "settled"),
    *("legacy_wait", "extracted_wait"),
)
#: What a worker counts of its callers' traffic comes under names that begin so: `traffic:legacy_2xx`.
TRAFFIC: Final = "traffic:"
#: What a route name is for requests that no route claims.
UNCLAIMED: Final = ""
#: How many different ones there were, over all time and since the last mark, as columns of a pair.
_SKETCHES: Final = ("requests", "callers", "recent_requests", "recent_callers")
HOUR: Final = 3600.0
#: Retired workers remembered, so that something late from one of them is not counted twice.
_RETIRED: Final = 1000


@dataclass(slots=True)
class Fold:
    """A worker's cumulative counters, route -> name -> count. Newer ones replace older ones in place."""

    worker: str
    routes: dict[str, dict[str, int]] = field(default_factory=dict)
    at: float = 0.0  # Unix seconds, when it was last told

    def update(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        """Take newer counters; what they do not name stays."""
        for route, names in counters.items():
            self.routes.setdefault(route, {}).update(names)


@dataclass(frozen=True, slots=True)
class Lost:
    """What `worker` had handed over on these routes and is not settled becomes skipped under `reason`."""

    worker: str
    handed: Mapping[str, int]
    reason: str


@dataclass(frozen=True, slots=True)
class Retired:
    """The worker is gone and all its numbers are final."""

    worker: str


@dataclass(frozen=True, slots=True)
class Mark:
    """From here on the different requests and callers of the route are counted anew, beside those of all time."""

    route: str


Entry = Observation | Fold | Lost | Retired | Keep | Mark


@dataclass(slots=True)
class Batch:
    """What is committed together. `refused`: per worker, route and reason, what had to be refused."""

    entries: list[Entry] = field(default_factory=list)
    refused: dict[tuple[str, str, str], int] = field(default_factory=dict)


@dataclass(slots=True)
class _Account:
    handed: int = 0
    recorded: int = 0
    lost: int = 0


class Books:
    """Applies batches to the file, each whole or not at all. Used by one thread only."""

    def __init__(self, connection: sqlite3.Connection, random: Random) -> None:
        self._sql = connection
        self._random = random
        self._roomy = False  # whether rows have gone whose room the file still has
        self._load()

    def _load(self) -> None:
        """Take everything from the file, at the start and after a batch that failed."""
        sql = self._sql
        self._stale = False
        self._pairs: dict[tuple[str, Releases], int] = {}
        self._current: dict[str, int] = {}
        self._seen = 0
        for pair, route, legacy, extracted, seen in sql.execute(
            "SELECT id, route, legacy, extracted, seen FROM pair ORDER BY seen"
        ):
            self._pairs[route, Releases(legacy, extracted)] = pair
            self._current[route] = pair
            self._seen = seen
        compared = {pair for (pair,) in sql.execute("SELECT DISTINCT pair FROM outcome")}
        #: Pairs of unknown releases that hold nothing but skips: they become the route's first real pair.
        self._bare = {p for (_, known), p in self._pairs.items() if known == UNKNOWN and p not in compared}
        self._accounts = {
            (worker, route): _Account(*counts)
            for worker, route, *counts in sql.execute(
                "SELECT worker, route, handed, recorded, lost FROM account"
            )
        }
        self._counters = {
            (worker, route, name): count
            for worker, route, name, count in sql.execute("SELECT worker, route, name, count FROM counter")
        }
        self._retired = {worker for (worker,) in sql.execute("SELECT worker FROM retired")}
        self._sightings = Sightings(sql, self._random)
        self._sample = Sample(sql, self._random)
        self._sketches: dict[int, tuple[Distinct, ...]] = {}
        self._new_batch()

    def _new_batch(self) -> None:
        self._tallies: defaultdict[int, Tally] = defaultdict(Tally)
        self._touched: set[tuple[str, str]] = set()
        self._counted: set[tuple[str, str, str]] = set()
        self._served: Counter[tuple[int, str, str]] = Counter()
        self._booked: Counter[tuple[str, str]] = Counter()

    @property
    def workers(self) -> frozenset[str]:
        """Every worker with an account that is not retired."""
        return frozenset(worker for worker, _ in self._accounts) | frozenset(w for w, _, _ in self._counters)

    def apply(self, batch: Batch) -> Counter[tuple[str, str]]:
        """Commit a batch whole, or raise and leave the file as it was.

        Gives what became of exchanges that were handed over: per route and outcome, and per route and reason to skip.
        """
        if self._stale:
            self._load()
        self._sql.execute("BEGIN IMMEDIATE")
        self._stale = True
        try:
            for entry in batch.entries:
                if isinstance(entry, Mark):
                    self._mark(entry.route)
                elif not isinstance(entry, Keep):
                    self._enter(entry)
            self._refused(batch.refused)
            self._write()
            gone = sum(forget(self._sql, entry) for entry in batch.entries if isinstance(entry, Keep))
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise
        # What is in memory may speak of rows that are gone.
        self._stale = bool(gone)
        self._roomy = self._roomy or bool(gone)
        booked = self._booked
        self._new_batch()
        return booked

    def give_back_room(self) -> None:
        """Give the room of what was forgotten back to the disk. Raises sqlite3.Error, and then nothing has changed."""
        if self._roomy:
            self._roomy = False  # when it fails now, then the next time that something is forgotten
            shrink(self._sql)

    def _enter(self, entry: Observation | Fold | Lost | Retired) -> None:
        if entry.worker in self._retired:
            return  # all its numbers are final; what it handed over was settled then
        match entry:
            case Observation():
                self._record(entry)
            case Fold():
                for route, names in entry.routes.items():
                    for name, count in names.items():
                        self._count(entry.worker, route, name, count, entry.at)
            case Lost():
                for route, handed in entry.handed.items():
                    self._settle(entry.worker, route, handed, entry.reason)
            case Retired():
                self._retire(entry.worker)

    # -- what a gateway worker says ------------------------------------------------------------------

    def _count(self, worker: str, route: str, name: str, count: int, at: float) -> None:
        if name == "handed":
            account = self._account(worker, route)
            account.handed = max(account.handed, count)
            return
        key = (worker, route, name)
        added = count - self._counters.get(key, 0)
        if added > 0:
            self._counters[key] = count
            self._counted.add(key)
            if name.startswith(TRAFFIC):
                self._pass(route, name.removeprefix(TRAFFIC), added, at)
            else:
                self._skip(route, name, added)

    def _pass(self, route: str, name: str, added: int, at: float) -> None:
        """Traffic that has passed since the worker last told."""
        side, _, what = name.partition("_")
        waited = what.removeprefix("wait_")
        if waited == what and what:
            self._serve(at, route, side, added)
        if route == UNCLAIMED:
            return
        tally = self._tallies[self._place(route)]
        if waited != what:
            waits: Histogram = getattr(tally, f"{side}_wait_ms")
            waits.buckets[int(waited)] += added
        else:
            tally.traffic[name] += added

    def _serve(self, at: float, route: str, what: str, count: int) -> None:
        self._served[int(at // HOUR), route, what] += count

    def _settle(self, worker: str, route: str, handed: int, reason: str) -> None:
        """Lose what is pending of the first `handed` exchanges; what was handed over later is not meant."""
        account = self._account(worker, route)
        account.handed = max(account.handed, handed)
        gone = handed - account.recorded - account.lost
        if gone > 0:
            account.lost += gone
            self._lose(route, reason, gone)

    def _retire(self, worker: str) -> None:
        for key in [key for key in self._accounts if key[0] == worker]:
            self._settle(*key, self._accounts[key].handed, "worker_lost")
        self._accounts = {key: kept for key, kept in self._accounts.items() if key[0] != worker}
        self._counters = {key: kept for key, kept in self._counters.items() if key[0] != worker}
        self._touched = {key for key in self._touched if key[0] != worker}
        self._counted = {key for key in self._counted if key[0] != worker}
        self._sql.execute("DELETE FROM account WHERE worker = ?", (worker,))
        self._sql.execute("DELETE FROM counter WHERE worker = ?", (worker,))
        self._sql.execute("INSERT INTO retired (worker) VALUES (?)", (worker,))
        self._sql.execute("DELETE FROM retired WHERE id <= (SELECT max(id) FROM retired) - ?", (_RETIRED,))
        self._retired.add(worker)

    def _refused(self, refused: Mapping[tuple[str, str, str], int]) -> None:
        for (worker, route, reason), count in refused.items():
            if worker not in self._retired:
                self._account(worker, route).recorded += count
                self._lose(route, reason, count)

    # -- what the observer saw -----------------------------------------------------------------------

    def _record(self, seen: Observation) -> None:
        self._account(seen.worker, seen.route).recorded += 1
        skipped = seen.outcome == "skipped"
        self._booked[seen.route, seen.outcome] += 1
        if skipped:
            self._booked[seen.route, seen.reason] += 1
        nameless = skipped and "" in seen.releases  # no answer said which releases these are
        pair = self._place(seen.route) if nameless else self._pair(seen.route, seen.releases)
        self._tallies[pair].add(seen)
        if seen.shadow.startswith("shadow_legacy"):
            self._serve(seen.at, seen.route, "shadow_legacy", 1)
        if not skipped:
            self._bare.discard(pair)
        if seen.differences or seen.gone or seen.probe is not None:
            self._sightings.add(pair, seen)
        if seen.target and not skipped:
            self._sample.add(pair, seen)

    # -- where it is written -------------------------------------------------------------------------

    def _account(self, worker: str, route: str) -> _Account:
        self._touched.add((worker, route))
        return self._accounts.setdefault((worker, route), _Account())

    def _lose(self, route: str, reason: str, count: int) -> None:
        """Skip what was handed over and is no observation."""
        self._skip(route, reason, count)
        self._booked[route, reason] += count

    def _skip(self, route: str, reason: str, count: int) -> None:
        self._tallies[self._place(route)].skipped[reason] += count

    def _place(self, route: str) -> int:
        """The current pair of a route, or the one of unknown releases until there is one."""
        current = self._current.get(route)
        return self._pair(route, UNKNOWN) if current is None else current

    def _pair(self, route: str, releases: Releases) -> int:
        """The pair of these releases, made current."""
        current = self._current.get(route)
        pair = self._pairs.get((route, releases))
        if pair is not None and pair == current:
            return pair
        self._seen += 1
        if pair is not None:
            self._sql.execute("UPDATE pair SET seen = ? WHERE id = ?", (self._seen, pair))
        elif current is not None and current in self._bare:
            pair = self._rename(route, current, releases)
        else:
            pair = self._insert(route, releases)
        self._current[route] = pair
        return pair

    def _rename(self, route: str, pair: int, releases: Releases) -> int:
        self._sql.execute(
            "UPDATE pair SET legacy = ?, extracted = ?, seen = ? WHERE id = ?", (*releases, self._seen, pair)
        )
        del self._pairs[route, UNKNOWN]
        self._bare.discard(pair)
        self._pairs[route, releases] = pair
        return pair

    def _insert(self, route: str, releases: Releases) -> int:
        row = self._sql.execute(
            "INSERT INTO pair (route, legacy, extracted, seen) VALUES (?, ?, ?, ?) RETURNING id",
            (route, *releases, self._seen),
        ).fetchone()
        pair = self._pairs[route, releases] = int(row[0])
        if releases == UNKNOWN:
            self._bare.add(pair)
        return pair

    def _write(self) -> None:
        for pair, tally in self._tallies.items():
            _write_tally(self._sql, pair, tally)
            self._write_sketches(pair, tally)
        _add(self._sql, "served", ((*key, count) for key, count in self._served.items()))
        self._sightings.write()
        self._sample.write()
        self._sql.executemany(
            "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?, ?)",
            [(*key, a.handed, a.recorded, a.lost) for key in self._touched for a in [self._accounts[key]]],
        )
        self._sql.executemany(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?)",
            [(*key, self._counters[key]) for key in self._counted],
        )

    def _write_sketches(self, pair: int, tally: Tally) -> None:
        """How many different requests and callers there were cannot be added up in SQL."""
        known = self._sketches.get(pair)
        if known is None:
            columns = ", ".join(_SKETCHES)
            row = self._sql.execute(f"SELECT {columns} FROM pair WHERE id = ?", (pair,)).fetchone()
            known = self._sketches[pair] = tuple(Distinct.of(data) for data in row)
        before = [sketch.data for sketch in known]
        for sketch, more in zip(known, (tally.requests, tally.callers) * 2, strict=True):
            sketch.merge(more)
        after = [sketch.data for sketch in known]
        if before != after:
            columns = ", ".join(f"{name} = ?" for name in _SKETCHES)
            self._sql.execute(f"UPDATE pair SET {columns} WHERE id = ?", (*after, pair))

    def _mark(self, route: str) -> None:
        pair = self._place(route)
        recent = ", ".join(f"{name} = NULL" for name in _SKETCHES[2:])
        self._sql.execute(f"UPDATE pair SET {recent} WHERE id = ?", (pair,))
        self._sketches.pop(pair, None)


def _write_tally(sql: sqlite3.Connection, pair: int, tally: Tally) -> None:
    if tally.since is not None:
        sql.execute(
            "UPDATE pair SET since = min(coalesce(since, ?1), ?1), until = max(coalesce(until, ?2), ?2)"
            " WHERE id = ?3",
            (tally.since, tally.until, pair),
        )
    _add(sql, "outcome", ((pair, outcome, n) for outcome, n in tally.outcomes.items()))
    _add(sql, "skip", ((pair, reason, n) for reason, n in tally.skipped.items()))
    _add(sql, "status", ((pair, legacy, extracted, n) for (legacy, extracted), n in tally.statuses.items()))
    _add(sql, "traffic", ((pair, name, n) for name, n in tally.traffic.items()))
    _add(sql, "rule", ((pair, rule, n) for rule, n in tally.rules.items()))
    sql.execute("UPDATE pair SET probes = probes + ? WHERE id = ?", (tally.probes, pair))
    for name in HISTOGRAMS:
        histogram: Histogram = getattr(tally, f"{name}_ms")
        _add(sql, "latency", ((pair, name, bucket, n) for bucket, n in histogram.buckets.items()))


def _add(sql: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Add counts to a table whose last column is `count`."""
    listed = list(rows)
    if listed:
        places = ", ".join("?" * len(listed[0]))
        sql.executemany(
            f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            listed,
        )
