"""Simulated ramps: traffic drawn from a seed, and three ways to decide whether a share may rise.

*Ours* is the real thing, `strangler.cutover.ramp.look`, asked as the observer asks it, with a clock and counts that
are drawn. *Thresholds* is Flagger's way: each minute the success rate and the p99 of that minute, against fixed
numbers. *Ranks* is Kayenta's: the minutes since the step began, canary against baseline, by a Mann-Whitney test, looked
at again every minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from statistics import NormalDist
from typing import Final, Literal

from strangler.cutover.ramp import Stand, carried_out, look
from strangler.evidence import PairEvidence, Releases, RouteEvidence, Standing, Tally
from strangler.routes import Ramp, Route, parse

STEPS: Final = (1_000, 5_000, 25_000, 50_000, 100_000)
HOLD: Final = 600.0
MINUTE: Final = 60.0
#: Seconds between looks at the beginning of a step. Later ones come when a step is this part older than at the last
#: look: the evidence hardly changes in between, and a simulated day would take an hour.
LOOK: Final = 5.0
THINNED: Final = 0.04

_NORMAL: Final = NormalDist()
_ROUTES: Final = """
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes: [{name: r, match: "GET /r/{id}", extracted: new, shadow: 100%}]
"""
_ROUTE: Final = parse(_ROUTES.encode(), file="r", check_rule=lambda *rule: None).routes[0]
_STANDING: Final = Standing()


@dataclass(frozen=True, slots=True)
class World:
    """What really is. Rates are 0 … 1; `slow` is how many times as long the extracted side takes; `rate` a second.

    The extracted side is as good as the legacy side until `begins`: the share at which it gets worse, and so many
    seconds after that share was reached.
    """

    rate: float = 100.0
    errors: float = 0.0
    more_errors: float = 0.0
    mismatches: float = 0.0
    slow: float = 1.0
    begins: tuple[int, float] = (0, 0.0)
    p99: float = 200.0  # milliseconds, of the legacy side
    spread: float = 0.5  # of the logarithm of the waits


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a ramp ended: at 100 %, rolled back, or not at all. `requests` since the regression began."""

    end: Literal["finished", "rolled back", "waiting"]
    seconds: float
    requests: int
    took_step: bool


class Dice:
    """Random counts. Those of rare events are exact; around fifty and more a normal distribution stands in."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def binomial(self, count: int, rate: float) -> int:
        """How often something of this rate happens in so many tries."""
        if count <= 0 or rate <= 0.0:
            return 0
        if rate > 0.5:
            return count - self.binomial(count, 1.0 - rate)
        mean = count * rate
        if mean > 50.0:
            return min(count, max(0, round(self._random.gauss(mean, math.sqrt(mean * (1.0 - rate))))))
        found, place, scale = 0, 0, math.log1p(-rate)
        while True:  # from one to the next, by the geometric distribution
            place += int(math.log(1.0 - self._random.random()) / scale) + 1
            if place > count:
                return found
            found += 1


class Waits:
    """Waits of a lognormal distribution, its upper twentieth in the evidence's buckets and the rest in one."""

    def __init__(self, p99: float, spread: float) -> None:
        middle = math.log(p99) - spread * _NORMAL.inv_cdf(0.99)
        growth = math.log(1.02 / 0.98)
        first = math.ceil((middle + spread * _NORMAL.inv_cdf(0.95)) / growth)
        self._rest = first - 5
        self._chances: list[tuple[int, float]] = []
        left = 1.0
        for bucket in range(first + 60, first - 1, -1):
            beyond = 1.0 - _NORMAL.cdf(((bucket - 1) * growth - middle) / spread)
            here = beyond - (1.0 - left)
            self._chances.append((bucket, here / left))
            left -= here

    def draw(self, dice: Dice, count: int) -> Iterator[tuple[int, int]]:
        """So many waits, as counts by bucket."""
        for bucket, chance in self._chances:
            if count <= 0:
                return
            here = dice.binomial(count, chance)
            if here:
                yield bucket, here
                count -= here
        yield self._rest, count


class Traffic:
    """What happens, in slices of time, at the share of the moment."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = Dice(seed)
        self._good = Waits(world.p99, world.spread)
        self._slow = Waits(world.p99 * world.slow, world.spread)
        self.share = 0
        self.now = 0.0
        self._owed = 0.0
        self._reached: float | None = None
        self.since_bad = 0

    def is_bad(self) -> bool:
        """Whether the extracted side is worse by now."""
        share, after = self.world.begins
        if self.share < share:
            return self.since_bad > 0
        self._reached = self.now if self._reached is None else self._reached
        return self.now - self._reached >= after

    def slice(self, seconds: float) -> Slice:
        """The next so many seconds."""
        world, dice = self.world, self.dice
        bad = self.is_bad()
        self.now += seconds
        self._owed += world.rate * seconds
        count = int(self._owed)
        self._owed -= count
        self.since_bad += count if bad else 0
        moved = dice.binomial(count, self.share / 100_000)
        rate = world.errors + (world.more_errors if bad else 0.0)
        return Slice(
            count,
            moved,
            dice.binomial(count, world.errors),
            dice.binomial(moved, rate),
            dice.binomial(count - moved, rate),
            dice.binomial(count, world.mismatches if bad else 0.0),
            list(self._good.draw(dice, count - moved)),
            list((self._slow if bad else self._good).draw(dice, moved)),
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened: requests, callers who have moved, errors of the legacy side, of the extracted side to callers and
    to shadows, mismatches, waits by bucket."""

    count: int
    moved: int
    legacy_errors: int
    caller_errors: int
    shadow_errors: int
    mismatches: int
    legacy_waits: list[tuple[int, int]]
    extracted_waits: list[tuple[int, int]]


Way = Callable[[World, int, Ramp, int, float], Outcome]


def ours(world: World, seed: int, ramp: Ramp, share: int, horizon: float) -> Outcome:
    """The real gates, from `share` on, for so many seconds at most."""
    traffic, tally = Traffic(world, seed), Tally(since=0.0)
    traffic.share = share
    for sketch in (tally.requests, tally.callers, tally.recent_requests, tally.recent_callers):
        for number in range(100):
            sketch.add(number + 1)
    evidence = RouteEvidence("r", (PairEvidence(Releases("1", "2"), tally),))
    stand: Stand | None = None
    took = False
    route: Route = replace(_ROUTE, share=share, ramp=ramp)
    while traffic.now < horizon:
        age = traffic.now - stand.began if stand else 0.0
        share_at, after = world.begins  # the moment of the alarm is what is measured: no long slice around it
        hurried = 0 < share_at <= traffic.share and age >= after - max(LOOK, THINNED * age)
        _count(tally, traffic.slice(LOOK if hurried else max(LOOK, THINNED * age)))
        found = look(route, ramp, evidence, stand, None, _STANDING, traffic.now)
        stand = found.stand
        if found.move is None:
            continue
        if found.move.kind == "rollback":
            return Outcome("rolled back", traffic.now, traffic.since_bad, took)
        took = True
        stand = carried_out(stand, found.move, evidence, traffic.now)
        traffic.share = found.move.to
        route = replace(route, share=found.move.to)
        if found.move.to == ramp.steps[-1] and world.begins[0] < 100_000:
            return Outcome("finished", traffic.now, traffic.since_bad, took)
    return Outcome("waiting", traffic.now, traffic.since_bad, took)


def _count(tally: Tally, seen: Slice) -> None:
    """As the observer would. An error that one side gives by chance is gone when it is asked again: transient."""
    errors = seen.caller_errors + seen.shadow_errors
    odd = min(seen.count, errors + seen.legacy_errors)
    mismatches = min(seen.mismatches, seen.count - odd)
    tally.outcomes["transient"] += odd
    tally.outcomes["mismatch"] += mismatches
    tally.outcomes["match"] += seen.count - odd - mismatches
    tally.traffic["legacy_2xx"] += seen.count - seen.legacy_errors
    tally.traffic["legacy_5xx"] += seen.legacy_errors
    tally.traffic["fallback"] += seen.caller_errors
    tally.traffic["extracted_2xx"] += seen.moved - seen.caller_errors
    tally.traffic["shadow_extracted_5xx"] += seen.shadow_errors
    tally.traffic["shadow_extracted_ok"] += seen.count - seen.moved - seen.shadow_errors
    for waits, drawn in (
        (tally.legacy_wait_ms, seen.legacy_waits),
        (tally.extracted_wait_ms, seen.extracted_waits),
    ):
        for bucket, count in drawn:
            waits.buckets[bucket] += count


def thresholds(world: World, seed: int, ramp: Ramp, share: int, horizon: float) -> Outcome:
    """Flagger's way: success at least 99 %, p99 at most 1.2 times what the operator knows it to be, each minute.

    Five failed checks on a step roll back; ten good ones take the next step. A minute without callers says nothing.
    """

    def judge(minutes: list[Minute]) -> str:
        failed = [minute for minute in minutes if minute.moved and not _within(minute, world)]
        good = [minute for minute in minutes if minute.moved and _within(minute, world)]
        return "fail" if len(failed) >= 5 else "pass" if len(good) >= HOLD / MINUTE else ""

    return _by_minutes(world, seed, ramp, share, horizon, judge)


def _within(minute: Minute, world: World) -> bool:
    return minute.errors / minute.moved <= 0.01 and (minute.p99 or 0.0) <= 1.2 * world.p99 * 1.02


def ranks(world: World, seed: int, ramp: Ramp, share: int, horizon: float) -> Outcome:
    """Kayenta's way: the minutes of the step, canary against baseline, by Mann-Whitney at 98 %, every minute anew.

    Error rate and p99 are the metrics; one that is higher fails the canary. A metric without data is left out.
    """

    def judge(minutes: list[Minute]) -> str:
        known = [minute for minute in minutes if minute.moved and minute.stayed]
        if len(known) >= 5:
            rates = [minute.errors / minute.moved for minute in known]
            baseline = [minute.legacy_errors / minute.stayed for minute in known]
            tails = [(minute.p99 or 0.0, minute.legacy_p99 or 0.0) for minute in known]
            if _is_higher(rates, baseline) or _is_higher(
                [one for one, _ in tails], [other for _, other in tails]
            ):
                return "fail"
        return "pass" if len(minutes) >= HOLD / MINUTE else ""

    return _by_minutes(world, seed, ramp, share, horizon, judge)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute as a metrics server has it."""

    moved: int
    stayed: int
    errors: int
    legacy_errors: int
    p99: float | None
    legacy_p99: float | None


def _by_minutes(
    world: World, seed: int, ramp: Ramp, share: int, horizon: float, judge: Callable[[list[Minute]], str]
) -> Outcome:
    traffic = Traffic(world, seed)
    steps = [step for step in ramp.steps if step > share]
    took = share > 0
    traffic.share = share or steps.pop(0)
    minutes: list[Minute] = []
    while traffic.now < horizon:
        seen = traffic.slice(MINUTE)
        stayed = seen.count - seen.moved
        legacy_errors = traffic.dice.binomial(stayed, world.errors)
        tails = (_p99(seen.extracted_waits), _p99(seen.legacy_waits))
        minutes.append(Minute(seen.moved, stayed, seen.caller_errors, legacy_errors, *tails))
        answer = judge(minutes)
        if answer == "fail":
            return Outcome("rolled back", traffic.now, traffic.since_bad, took)
        if answer == "pass":
            took = True
            if steps:
                traffic.share = steps.pop(0)
                minutes = []
            if (not steps or traffic.share == 100_000) and world.begins[0] < 100_000:
                return Outcome("finished", traffic.now, traffic.since_bad, took)
            if not steps:
                minutes = minutes[-5:]
    return Outcome("waiting", traffic.now, traffic.since_bad, took)


def _p99(waits: list[tuple[int, int]]) -> float | None:
    count = sum(number for _, number in waits)
    rank = max(1, math.ceil(0.99 * count))
    for bucket, number in sorted(waits):
        rank -= number
        if rank <= 0:
            return float((1.02 / 0.98) ** (bucket - 0.5))
    return None


def _is_higher(one: list[float], other: list[float]) -> bool:
    """One-sided Mann-Whitney test at 99 %, by the normal approximation with ties (a two-sided one at 98 %)."""
    values = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    first, second = len(one), len(other)
    total = first + second
    place, sum_of_ranks, ties = 0, 0.0, 0.0
    while place < total:
        end = place
        while end < total and values[end][0] == values[place][0]:
            end += 1
        here = end - place
        sum_of_ranks += (place + end + 1) / 2 * sum(1 for value in values[place:end] if value[1] == 0)
        ties += here**3 - here
        place = end
    u = sum_of_ranks - first * (first + 1) / 2
    variance = first * second / 12 * ((total + 1) - ties / (total * (total - 1)))
    if variance <= 0:
        return False
    return (u - first * second / 2 - 0.5) / math.sqrt(variance) > _NORMAL.inv_cdf(0.99)
