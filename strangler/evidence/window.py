"""The evidence of a while: what there is now, less what there was when it began. Pure.

Counts only grow, so a while is told from two pictures of them. What is noise is judged afterwards, on the counts of
the while with all that is known of noise: so what is learned late holds for it too (see judged.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Final, TypeVar

import msgspec

from strangler.evidence.judged import Standing, judged
from strangler.evidence.model import PairEvidence, RouteEvidence, Sighting
from strangler.evidence.observation import Releases
from strangler.evidence.rates import Rate
from strangler.evidence.step import Seen
from strangler.evidence.tally import Histogram, Tally

#: With so much less to go by on the legacy side in a while, all that is known of it is taken instead.
THIN: Final = 4

_Counts = dict[str, int]
_K = TypeVar("_K")


class Snapshot(msgspec.Struct, frozen=True):
    """What the evidence of a route was at a moment. `traffic` and `waits` are by pair of releases."""

    releases: tuple[str, str] = ("", "")
    outcomes: _Counts = {}
    skipped: _Counts = {}
    combinations: _Counts = {}
    sightings: _Counts = {}
    unlisted: int = 0
    traffic: dict[str, _Counts] = {}
    waits: dict[str, dict[str, dict[int, int]]] = {}


def snapshot(route: RouteEvidence | None) -> Snapshot:
    """The evidence as it is now."""
    if route is None:
        return Snapshot()
    pair = route.current
    return Snapshot(
        releases=(pair.releases.legacy, pair.releases.extracted),
        outcomes=dict(pair.tally.outcomes),
        skipped=dict(pair.tally.skipped),
        combinations=dict(pair.combinations),
        sightings={seen.id: seen.count for seen in pair.sightings},
        unlisted=pair.unlisted,
        traffic={_name(each.releases): dict(each.tally.traffic) for each in route.pairs},
        waits={
            _name(each.releases): {
                "legacy": dict(each.tally.legacy_wait_ms.buckets),
                "extracted": dict(each.tally.extracted_wait_ms.buckets),
            }
            for each in route.pairs
        },
    )


def seen_since(
    route: RouteEvidence | None,
    before: Snapshot | None,
    standing: Standing,
    today: date,
    *,
    since: float,
    moved: bool,
    errors_apart: bool,
) -> Seen:
    """What was seen after `before` was taken; of all time without it. `since`: how many seconds ago that was.

    `errors_apart` leaves answers of 5xx out of the breaking differences, for a gate that counts errors by themselves.
    """
    if route is None:
        return Seen(since=since, moved=moved)
    then = before or Snapshot()
    known = judged(_less(route.current, then), standing, today).pair
    outcome_of = judged(route.current, standing, today).outcome_of
    traffic = _traffic(route.pairs, then)
    legacy, extracted = legacy_rate(traffic), extracted_rate(traffic)
    everything = _traffic(route.pairs, Snapshot())
    legacy_wait, extracted_wait = (_waits(route.pairs, then, side) for side in ("legacy", "extracted"))
    if legacy.count * THIN < extracted.count:
        legacy = legacy_rate(everything)
    if legacy_wait.buckets.total() * THIN < extracted_wait.buckets.total():
        legacy_wait = _waits(route.pairs, Snapshot(), "legacy")
    current = route.current.tally
    recent = before is not None
    return Seen(
        tally=known.tally,
        breaking=[
            seen
            for seen in known.sightings
            if _is_breaking(seen, errors_apart) and outcome_of.get(seen.id) == "mismatch"
        ],
        unlisted=known.unlisted,
        legacy=legacy,
        extracted=extracted,
        lost=traffic["shadow_extracted_failed"],
        lost_legacy=traffic["shadow_legacy_failed"],
        legacy_wait=legacy_wait,
        extracted_wait=extracted_wait,
        requests=(current.recent_requests if recent else current.requests).count(),
        callers=(current.recent_callers if recent else current.callers).count(),
        since=since,
        moved=moved,
    )


def legacy_rate(traffic: Mapping[str, int]) -> Rate:
    """Errors among everything that the legacy side was asked by callers, and the shadows that it answered."""
    return _rate(traffic, "legacy", ())


def extracted_rate(traffic: Mapping[str, int]) -> Rate:
    """Errors among everything that the extracted side was asked by callers or should have been, and the shadows that it
    answered: where the legacy side had to answer in its place, it failed."""
    return _rate(traffic, "extracted", ("fallback", "rerouted"))


def _rate(traffic: Mapping[str, int], side: str, instead: Iterable[str]) -> Rate:
    bad = [f"{side}_5xx", f"{side}_failed", f"shadow_{side}_5xx", *instead]
    good = [f"{side}_{status}xx" for status in "234"] + [f"shadow_{side}_ok"]
    errors = sum(traffic.get(name, 0) for name in bad)
    return Rate(errors, errors + sum(traffic.get(name, 0) for name in good))


def _is_breaking(seen: Sighting, errors_apart: bool) -> bool:
    difference = seen.difference
    if difference.severity != "breaking" or not seen.count:
        return False
    return not (errors_apart and difference.where == "status" and difference.extracted.startswith("5"))


def _less(pair: PairEvidence, then: Snapshot) -> PairEvidence:
    if Releases(*then.releases) != pair.releases:
        then = Snapshot()  # all that there is of this pair came later
    tally = Tally(
        outcomes=_minus(pair.tally.outcomes, then.outcomes),
        skipped=_minus(pair.tally.skipped, then.skipped),
    )
    sightings = [replace(seen, count=seen.count - then.sightings.get(seen.id, 0)) for seen in pair.sightings]
    return replace(
        pair,
        tally=tally,
        sightings=tuple(seen for seen in sightings if seen.count > 0),
        unlisted=max(0, pair.unlisted - then.unlisted),
        combinations=_minus(pair.combinations, then.combinations),
    )


def _traffic(pairs: Iterable[PairEvidence], then: Snapshot) -> Counter[str]:
    found: Counter[str] = Counter()
    for pair in pairs:
        found.update(_minus(pair.tally.traffic, then.traffic.get(_name(pair.releases), {})))
    return found


def _waits(pairs: Iterable[PairEvidence], then: Snapshot, side: str) -> Histogram:
    found = Histogram()
    for pair in pairs:
        now: Histogram = getattr(pair.tally, f"{side}_wait_ms")
        found.buckets.update(_minus(now.buckets, then.waits.get(_name(pair.releases), {}).get(side, {})))
    return found


def _minus(now: Mapping[_K, int], then: Mapping[_K, int]) -> Counter[_K]:
    # What was forgotten meanwhile is not a negative count.
    return Counter({name: left for name, count in now.items() if (left := count - then.get(name, 0)) > 0})


def _name(releases: Releases) -> str:
    return "\n".join(releases)
