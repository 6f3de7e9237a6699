"""What mismatches leave behind, in SQL: fingerprints and their examples, combinations, fields, rules, sketches.

Kept in memory as far as it takes to count, and written once a batch: so the file is touched as often for a thousand
mismatches of one kind as for one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from strangler.compare import Difference, Drift, FieldTally, explains, findings, fingerprint
from strangler.evidence.judged import UNLISTED, Member, write_members
from strangler.evidence.observation import Observation, Probe
from strangler.evidence.sketch import Distinct

#: Examples kept of each fingerprint: a random sample of all that were seen (Vitter 1985, algorithm R).
EXAMPLES: Final = 5
#: Fingerprints kept of each pair of releases. A body keyed by random ids would make one per exchange.
FINGERPRINTS: Final = 500
#: Combinations of differences kept of each pair of releases, and members of one. The rest is a mismatch for good.
COMBINATIONS: Final = 2_000
MEMBERS: Final = 64
#: Of one fingerprint, requests and callers are counted exactly up to this many.
FEW: Final = 64


@dataclass(slots=True)
class _Kind:
    """One fingerprint at one pair of releases."""

    method: str
    difference: Difference
    count: int = 0
    gone: int = 0
    first_seen: float = float("inf")
    last_seen: float = float("-inf")
    requests: Distinct = field(default_factory=lambda: Distinct(FEW))
    callers: Distinct = field(default_factory=lambda: Distinct(FEW))


@dataclass(slots=True)
class _Pair:
    """What is known of one pair of releases, and what of it is not written yet."""

    kinds: dict[str, _Kind] = field(default_factory=dict)
    fields: dict[str, FieldTally] = field(default_factory=dict)
    combinations: set[str] = field(default_factory=set)
    new_kinds: set[str] = field(default_factory=set)
    new_fields: set[str] = field(default_factory=set)
    new_combinations: Counter[str] = field(default_factory=Counter)
    unlisted: int = 0
    noise: dict[str, FieldTally] | None = None  # by what the probes say now; None: to be asked


class Sightings:
    """Counts the differences of observations, and writes them when told to. Used by one thread only."""

    def __init__(self, connection: sqlite3.Connection, random: Random) -> None:
        self._sql = connection
        self._random = random
        self._pairs: dict[int, _Pair] = {}
        self._touched: set[int] = set()

    def add(self, pair: int, seen: Observation) -> None:
        """Count what an observation showed. The connection is inside a transaction."""
        known = self._known(pair)
        self._touched.add(pair)
        members = [
            *self._members(known, pair, seen, seen.differences, gone=False),
            *self._members(known, pair, seen, seen.gone, gone=True),
        ]
        if seen.outcome == "mismatch":
            known.new_combinations[_combination(known, members)] += 1
        if seen.probe is not None:
            _probed(known, seen, seen.probe)

    def write(self) -> None:
        """Write what was counted since the last time."""
        for pair in self._touched:
            _write(self._sql, pair, self._pairs[pair])
        self._touched.clear()

    def _members(
        self, known: _Pair, pair: int, seen: Observation, differences: Iterable[Difference], *, gone: bool
    ) -> list[Member | None]:
        members: list[Member | None] = []
        for identity, difference in _identified(seen, differences).items():
            kind = known.kinds.get(identity)
            if kind is None and len(known.kinds) >= FINGERPRINTS:
                known.unlisted += 1
                members.append(None)
                continue
            if kind is None:
                kind = known.kinds[identity] = _Kind(seen.method, difference)
            known.new_kinds.add(identity)
            members.append(Member(identity, _settled(known, identity, difference.drift), gone))
            if gone:
                kind.gone += 1
                continue
            kind.count += 1
            kind.first_seen, kind.last_seen = min(kind.first_seen, seen.at), max(kind.last_seen, seen.at)
            kind.requests.add(seen.request)
            kind.callers.add(seen.caller)
            self._sample(pair, identity, kind.count, seen, difference)
        return members

    def _sample(
        self, pair: int, identity: str, count: int, seen: Observation, difference: Difference
    ) -> None:
        slot = count - 1 if count <= EXAMPLES else self._random.randrange(count)
        if slot >= EXAMPLES:
            return
        shown = seen.example
        self._sql.execute(
            "INSERT OR REPLACE INTO example VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                pair, identity, slot, seen.at,
                shown.method if shown else seen.method,
                shown.target if shown else seen.target,
                difference.legacy_value, difference.extracted_value,
                shown.legacy_body if shown else "",
                shown.extracted_body if shown else "",
            ),
        )  # fmt: skip

    def _known(self, pair: int) -> _Pair:
        known = self._pairs.get(pair)
        if known is None:
            known = self._pairs[pair] = _read(self._sql, pair)
        return known


def _read(sql: sqlite3.Connection, pair: int) -> _Pair:
    known = _Pair()
    for identity, method, place, path, kind, legacy, extracted, *rest in sql.execute(
        "SELECT id, method, place, path, kind, legacy, extracted, count, gone, first_seen, last_seen, requests,"
        " callers FROM fingerprint WHERE pair = ?",
        (pair,),
    ):
        count, gone, first, last, requests, callers = rest
        known.kinds[identity] = _Kind(
            method,
            Difference(place, path, kind, legacy, extracted),
            count,
            gone,
            first,
            last,
            Distinct.of(requests, FEW),
            Distinct.of(callers, FEW),
        )
    for identity, *counts in sql.execute(
        "SELECT id, both, itself, sides, type, size FROM field WHERE pair = ?", (pair,)
    ):
        known.fields[identity] = FieldTally(*counts)
    found = sql.execute("SELECT members FROM combination WHERE pair = ?", (pair,))
    known.combinations = {members for (members,) in found}
    return known


def _write(sql: sqlite3.Connection, pair: int, known: _Pair) -> None:
    kinds = [(name, known.kinds[name]) for name in known.new_kinds]
    sql.executemany(
        "INSERT OR REPLACE INTO fingerprint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                pair, name, kind.method, kind.difference.where, kind.difference.path, kind.difference.kind,
                kind.difference.legacy, kind.difference.extracted, kind.count,
                kind.first_seen if kind.count else 0.0, kind.last_seen if kind.count else 0.0,
                kind.gone, kind.requests.data, kind.callers.data,
            )
            for name, kind in kinds
        ],
    )  # fmt: skip
    sql.executemany(
        "INSERT OR REPLACE INTO field VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (pair, name, tally.both, tally.itself, tally.sides, tally.type, tally.size)
            for name, tally in ((name, known.fields[name]) for name in known.new_fields)
        ],
    )
    sql.executemany(
        "INSERT INTO combination VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(pair, members, count) for members, count in known.new_combinations.items()],
    )
    sql.execute("UPDATE pair SET unlisted = unlisted + ? WHERE id = ?", (known.unlisted, pair))
    known.unlisted = 0
    known.new_kinds.clear()
    known.new_fields.clear()
    known.new_combinations.clear()


def _settled(known: _Pair, identity: str, drift: Drift | None) -> Drift | None:
    """The drift, without its size where that is no more than is known to be noise: else fields that always drift
    would come in more combinations of sizes than are kept."""
    if drift is None:
        return None
    if known.noise is None:
        found = findings(known.fields, frozenset())
        known.noise = {name: known.fields[name] for name, finding in found.items() if finding == "noise"}
    tally = known.noise.get(identity)
    return Drift(drift.type) if tally is not None and explains(tally, drift) else drift


def _combination(known: _Pair, members: list[Member | None]) -> str:
    listed = [member for member in members if member is not None]
    if len(listed) < len(members) or len(listed) > MEMBERS:
        return UNLISTED
    text = write_members(listed)
    if text not in known.combinations:
        if len(known.combinations) >= COMBINATIONS:
            return UNLISTED
        known.combinations.add(text)
    return text


def _probed(known: _Pair, seen: Observation, probe: Probe) -> None:
    itself, sides = _identified(seen, probe.itself), _identified(seen, probe.sides)
    for name in itself.keys() | sides.keys():
        if name not in known.fields and len(known.fields) >= FINGERPRINTS:
            continue  # never counted, so never noise
        one, other = itself.get(name), sides.get(name)
        known.fields[name] = _counted(known.fields.get(name), one, other)
        known.new_fields.add(name)
        known.noise = None


def _counted(before: FieldTally | None, itself: Difference | None, sides: Difference | None) -> FieldTally:
    tally = before or FieldTally()
    types = {found.drift.type if found.drift else "" for found in (itself, sides) if found is not None}
    if before is not None:
        types.add(before.type)
    kind = types.pop() if len(types) == 1 else ""
    size = itself.drift.size if itself is not None and itself.drift else Drift("").size
    return FieldTally(
        both=tally.both + (itself is not None and sides is not None),
        itself=tally.itself + (sides is None),
        sides=tally.sides + (itself is None),
        type=kind,
        size=max(tally.size, size),
    )


def _identified(seen: Observation, differences: Iterable[Difference]) -> dict[str, Difference]:
    identified: dict[str, Difference] = {}
    for difference in differences:
        identified.setdefault(fingerprint(seen.route, seen.method, difference), difference)
    return identified
