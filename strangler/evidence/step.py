"""May the share rise, and must it fall: what the evidence since a step began says of the step. Pure.

Every question has three answers. *Pass* and *fail* are shown by tests that hold however often somebody looks; what is
neither is inconclusive, and says how much is missing. A step is taken when all pass. It is taken back when one fails,
which is asked more sharply, since it happens by itself and at once: see `alarm`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strangler.evidence.bounds import match_interval, pairs_needed
from strangler.evidence.model import Sighting
from strangler.evidence.rates import (
    Rate,
    factor_needed,
    is_no_slower,
    is_no_worse,
    is_slower,
    is_worse,
    quantile_band,
)
from strangler.evidence.tally import Histogram, Tally
from strangler.evidence.verdict import Answer, number, percent, told_of

#: How often a candidate just at the bound may pass, at any look of a step, and an even one may be taken for worse.
DOUBT: Final = 0.05
ALARM: Final = 0.01
#: By so much more the extracted side fails where errors are not asked, and is taken for dead (0 … 1).
DEAD: Final = 0.5
#: Tests that may raise an alarm: match, errors, p99. Each has its part of the error probability.
_ALARMS: Final = 3


@dataclass(frozen=True, slots=True)
class StepGate:
    """What a step asks. Rates are 0 … 1, times in seconds; None: it is not asked."""

    match: float | None = 0.999
    errors: float | None = 0.001
    p99: float | None = 1.2
    coverage: float = 0.95
    requests: int = 20
    callers: int = 20
    hold: float = 600.0
    transient: float = 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a while: judged outcomes, unexplained breaking differences, both sides' errors and waits.

    `since` is how long the while was, in seconds. `moved` says that callers were answered by the extracted side.
    `lost` are copies that had no answer from the extracted side, and `lost_legacy` those that had none from the legacy
    side. They must be few before a share rises. They raise no alarm, since an observer that is short of time itself
    would be the cause as well, and a service that does not answer fails its callers, too. `out` says that no
    endpoint of the extracted side is in order.
    """

    tally: Tally = field(default_factory=Tally)
    breaking: Sequence[Sighting] = ()
    unlisted: int = 0
    legacy: Rate = field(default_factory=Rate)
    extracted: Rate = field(default_factory=Rate)
    legacy_wait: Histogram = field(default_factory=Histogram)
    extracted_wait: Histogram = field(default_factory=Histogram)
    requests: int = 0
    callers: int = 0
    lost: int = 0
    lost_legacy: int = 0
    since: float = 0.0
    moved: bool = False
    out: bool = False


class Check(NamedTuple):
    """One question of the gate: its answer, in words, and the seconds until it may pass; None: nobody can tell."""

    name: str
    answer: Answer
    said: str
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """The answer to all questions together. Those that have not passed come first."""

    verdict: Answer
    checks: tuple[Check, ...]

    @property
    def open(self) -> tuple[Check, ...]:
        """What has not passed."""
        return tuple(check for check in self.checks if check.answer != "pass")

    @property
    def wait(self) -> float | None:
        """Seconds until the last of them may pass, at the present rate; None when nobody can tell."""
        waits = [check.wait for check in self.open]
        return (
            None
            if any(wait is None for wait in waits)
            else max((w for w in waits if w is not None), default=0.0)
        )


def judge_step(seen: Seen, gate: StepGate, lately: Sequence[Seen] = ()) -> StepVerdict:
    """Whether the next step may be taken. `lately` are the last whiles of the step: a good week says nothing of a side
    that has died since."""
    checks = [
        *_order(seen),
        *_hold(seen, gate),
        *_match(seen, gate),
        *_errors(seen, gate),
        *_p99(seen, gate),
        *_breadth(seen, gate),
        *_lately(lately, gate),
    ]
    order: Sequence[Answer] = ("fail", "inconclusive", "pass")
    checks.sort(key=lambda check: order.index(check.answer))
    return StepVerdict(checks[0].answer, tuple(checks))


def alarm(seen: Seen, gate: StepGate, window: int) -> list[str]:
    """What is shown to be worse than the gate allows, in words: empty while nothing is.

    `window` counts from 1 the whiles that were looked at for this pair of releases. Each has a smaller part of ALARM,
    so that all of them together, however many, raise a false alarm with that probability at most.
    """
    doubt = ALARM / _ALARMS / (window * (window + 1))
    return [check.said for check in _worse(seen, gate, doubt)]


def _worse(seen: Seen, gate: StepGate, doubt: float) -> Iterator[Check]:
    tally = seen.tally
    if gate.match is not None:
        _, high = match_interval(tally.matches, tally.pairs, 1 - doubt)
        if high < gate.match:
            counted = f"{number(tally.outcomes['mismatch'])} of {number(tally.pairs)} pairs differ"
            most = percent(high, up=True)
            yield Check(
                "match", "fail", f"match rate is at most {most}, {percent(gate.match)} asked: {counted}"
            )
    if gate.errors is not None and is_worse(seen.legacy, seen.extracted, gate.errors, 1 - doubt):
        yield Check("errors", "fail", f"{_both(seen)}: more than {percent(gate.errors)} above")
    if gate.p99 is not None and is_slower(seen.legacy_wait, seen.extracted_wait, gate.p99, 1 - doubt):
        yield Check("p99", "fail", f"{_tails(seen)}: more than {gate.p99:g} times as slow")


def _order(seen: Seen) -> Iterator[Check]:
    if seen.out:
        yield Check("order", "inconclusive", "the extracted side is out of order")


def _hold(seen: Seen, gate: StepGate) -> Iterator[Check]:
    left = gate.hold - seen.since
    if left > 0:
        yield Check("hold", "inconclusive", f"the step is held for {duration(left)} more", left)
    else:
        yield Check("hold", "pass", f"the step was held for {duration(gate.hold)}")


def _match(seen: Seen, gate: StepGate) -> Iterator[Check]:
    tally, asked = seen.tally, gate.match
    if asked is None:
        return
    failed = [check for check in _worse(seen, gate, ALARM / _ALARMS) if check.name == "match"]
    if failed:
        yield from failed
        return
    low, _ = match_interval(tally.matches, tally.pairs, 1 - DOUBT)
    least = f"match rate is at least {percent(low)}, {percent(asked)} asked"
    more = pairs_needed(tally.matches, tally.pairs, asked, 1 - DOUBT)
    if more == 0:
        yield Check("match", "pass", f"{least}: {number(tally.pairs)} pairs")
    elif not tally.pairs:
        yield Check(
            "match",
            "inconclusive",
            f"nothing has been compared yet, {number(more or 0)} matching pairs needed",
        )
    elif more is None:
        yield Check(
            "match", "inconclusive", f"{least}, and it falls: {number(tally.outcomes['mismatch'])} mismatches"
        )
    else:
        wait = _until(more, tally.pairs, seen.since)
        yield Check("match", "inconclusive", f"{least}: {number(more)} more pairs{_at_this_rate(wait)}", wait)


def _errors(seen: Seen, gate: StepGate) -> Iterator[Check]:
    if gate.errors is None:
        return
    failed = [check for check in _worse(seen, gate, ALARM / _ALARMS) if check.name == "errors"]
    allowed = f"{percent(gate.errors)} more allowed"
    if failed:
        yield from failed
        return
    legacy, extracted = _with(seen.legacy, seen.lost_legacy), _with(seen.extracted, seen.lost)
    if is_no_worse(legacy, extracted, gate.errors, 1 - DOUBT):
        yield Check("errors", "pass", f"{_both(seen)}, {allowed}")
    elif not extracted.count:
        yield Check("errors", "inconclusive", "the extracted side has not been asked yet")
    else:
        times = factor_needed(legacy, extracted, gate.errors, 1 - DOUBT)
        if times is None:
            yield Check(
                "errors",
                "inconclusive",
                f"{_both(seen)}, {allowed}: not shown to be fewer, and not likely to be",
            )
            return
        more = int((times - 1) * extracted.count) + 1
        wait = _until(more, extracted.count, seen.since)
        said = f"{_both(seen)}, {allowed}: {number(more)} more requests{_at_this_rate(wait)}"
        yield Check("errors", "inconclusive", said, wait)


def _p99(seen: Seen, gate: StepGate) -> Iterator[Check]:
    if gate.p99 is None:
        return
    if not seen.moved:
        # A shadow's latency is taken in another process, which stands back behind callers: no fair comparison.
        yield Check(
            "p99", "pass", "latency is not asked before the first callers have moved: nobody has felt it yet"
        )
        return
    failed = [check for check in _worse(seen, gate, ALARM / _ALARMS) if check.name == "p99"]
    if failed:
        yield from failed
    elif is_no_slower(seen.legacy_wait, seen.extracted_wait, gate.p99, 1 - DOUBT):
        yield Check("p99", "pass", f"{_tails(seen)}, {gate.p99:g} times allowed")
    else:
        fewest = min(seen.legacy_wait.buckets.total(), seen.extracted_wait.buckets.total())
        said = f"{_tails(seen)}, {gate.p99:g} times allowed: more requests needed than the {number(fewest)} of one side"
        yield Check("p99", "inconclusive", said)


def _breadth(seen: Seen, gate: StepGate) -> Iterator[Check]:
    """Whether enough of it was seen, of enough requests and callers, and whether it is sound."""
    tally = seen.tally
    if gate.match is None:
        return
    covered = tally.compared / tally.eligible if tally.eligible else 0.0
    said = f"{percent(covered)} of the eligible exchanges were compared, {percent(gate.coverage)} asked"
    yield Check("coverage", "pass" if covered >= gate.coverage else "inconclusive", said)
    for name, count, asked in (
        ("requests", seen.requests, gate.requests),
        ("callers", seen.callers, gate.callers),
    ):
        answer: Answer = "pass" if count >= asked else "inconclusive"
        yield Check(name, answer, f"{number(count)} different {name} were compared, {number(asked)} asked")
    if tally.outcomes["transient"] > gate.transient * tally.compared:
        share = percent(tally.outcomes["transient"] / tally.compared)
        yield Check("transient", "inconclusive", f"{share} of the pairs agreed only when asked again")
    for said in told_of(seen.breaking):
        yield Check("differences", "inconclusive", said)
    if seen.unlisted:
        yield Check(
            "unlisted", "inconclusive", f"{number(seen.unlisted)} differences of kinds that are not listed"
        )


def _lately(whiles: Sequence[Seen], gate: StepGate) -> Iterator[Check]:
    """What speaks against a step at this moment, however good all of it was: a share goes to no side that is dead."""
    margin = DEAD if gate.errors is None else gate.errors
    for each in whiles:
        legacy, extracted = _with(each.legacy, each.lost_legacy), _with(each.extracted, each.lost)
        if is_worse(legacy, extracted, margin, 1 - DOUBT):
            yield Check("lately", "inconclusive", f"in the last {duration(each.since)}: {_both(each)}")
            return
    asked = (
        gate.match is not None or gate.errors is not None
    )  # a ramp that asks nothing may begin where nobody asks
    if whiles and asked and not any(each.extracted.count > each.extracted.errors for each in whiles):
        longest = duration(max(each.since for each in whiles))
        yield Check("lately", "inconclusive", f"no answer of the extracted side in the last {longest}")


def _with(rate: Rate, lost: int) -> Rate:
    return Rate(rate.errors + lost, rate.count + lost)


def _both(seen: Seen) -> str:
    legacy, extracted = seen.legacy, seen.extracted
    lost = f" and {number(seen.lost)} copies without an answer" if seen.lost else ""
    return (
        f"errors: {number(int(extracted.errors))} of {number(int(extracted.count))}{lost} on the extracted side, "
        f"{number(int(legacy.errors))} of {number(int(legacy.count))} on the legacy side"
    )


def _tails(seen: Seen) -> str:
    each = 1 - DOUBT / 2
    bands = [quantile_band(waits, 0.99, each) for waits in (seen.extracted_wait, seen.legacy_wait)]
    extracted, legacy = (f"{_ms(low)} to {_ms(high)}" for low, high in bands)
    return f"p99: {extracted} ms on the extracted side, {legacy} ms on the legacy side"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _until(more: float, so_far: float, since: float) -> float | None:
    return more / so_far * since if so_far and since > 0 else None


def _at_this_rate(wait: float | None) -> str:
    return "" if wait is None else f" at the present rate: about {duration(wait)}"


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `12 minutes`, `3 hours`, `5 days`."""
    for least, size, unit in ((172_800, 86_400, "days"), (7_200, 3_600, "hours"), (120, 60, "minutes")):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
