"""What the evidence says about a route: pass, fail or inconclusive, always with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from strangler.compare import Difference
from strangler.evidence.bounds import match_interval, pairs_needed
from strangler.evidence.model import Sighting
from strangler.evidence.tally import Tally

Answer = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the evidence must show. All are shares between 0 and 1.

    `transient` is how many of the compared may have agreed only when asked again: a service that is wrong now and then
    looks like that too.
    """

    match: float = 0.999
    coverage: float = 0.95
    confidence: float = 0.95
    transient: float = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer and the sentences that explain it, the weightiest first."""

    verdict: Answer
    reasons: tuple[str, ...]


def judge(tally: Tally, gate: Gate, fingerprints: Sequence[Sighting] = (), unlisted: int = 0) -> Verdict:
    """Judge one route at one pair of releases. `unlisted` counts differences beyond the kept fingerprints.

    Fails when the gate's rate is ruled out. Passes when it is proven, enough of the eligible exchanges were
    compared, and nothing breaking was seen. Everything else is inconclusive.
    """
    low, high = match_interval(tally.matches, tally.pairs, gate.confidence)
    breaking = [seen for seen in fingerprints if seen.difference.severity == "breaking"]
    covered = tally.compared >= gate.coverage * tally.eligible
    steady = tally.outcomes["transient"] <= gate.transient * tally.compared
    reasons = [
        *told_of(breaking),
        *_rate(tally, gate, low, high),
        *_transient(tally, gate, steady),
        *_coverage(tally, gate, covered),
    ]
    if unlisted:
        reasons.append(f"{number(unlisted)} further differences are of kinds that are not listed")
    return Verdict(
        _answer(tally, gate, low, high, settled=covered and steady and not breaking), tuple(reasons)
    )


def _answer(tally: Tally, gate: Gate, low: float, high: float, *, settled: bool) -> Answer:
    if tally.pairs == 0:
        return "inconclusive"
    if high < gate.match:
        return "fail"
    return "pass" if low >= gate.match and settled else "inconclusive"


def told_of(breaking: Sequence[Sighting]) -> list[str]:
    """How many breaking differences there are, and which is the most frequent: one sentence, or none."""
    if not breaking:
        return []
    worst = max(breaking, key=lambda seen: seen.count)
    times = "once" if worst.count == 1 else f"{number(worst.count)} times"
    kinds = "1 breaking difference" if len(breaking) == 1 else f"{number(len(breaking))} breaking differences"
    most = f"{_named(worst.difference)}, seen {times}"
    return [f"{kinds}: {most}" if len(breaking) == 1 else f"{kinds}, most often {most}"]


def _named(difference: Difference) -> str:
    """A difference in a sentence: its kind and its place, and no place for the status, which has but one."""
    if difference.kind == difference.where:
        return difference.kind
    return f"{difference.kind} at {difference.path or f'the {difference.where}'}"


def _rate(tally: Tally, gate: Gate, low: float, high: float) -> list[str]:
    if tally.pairs == 0:
        if tally.compared:
            return [f"no pair has settled yet: {number(tally.compared)} transient"]
        return ["no exchange has been compared yet"]
    if high < gate.match:
        return [f"match rate is at most {percent(high, up=True)} {_asked(gate)}"]
    reasons = [f"match rate is at least {percent(low)} {_asked(gate)}"]
    missing = pairs_needed(tally.matches, tally.pairs, gate.match, gate.confidence)
    if missing is None:
        reasons.append(f"no number of pairs proves a match rate of {percent(gate.match)}")
    elif missing:
        reasons.append(f"{number(missing)} more matching pair{'s' if missing > 1 else ''} needed")
    return reasons


def _transient(tally: Tally, gate: Gate, steady: bool) -> list[str]:
    if steady or not tally.pairs:
        return []
    share = percent(tally.outcomes["transient"] / tally.compared)
    return [
        f"{share} of the compared pairs agreed only when asked again, the gate allows {percent(gate.transient)}"
    ]


def _asked(gate: Gate) -> str:
    return f"(confidence {percent(gate.confidence)}), the gate asks {percent(gate.match)}"


def _coverage(tally: Tally, gate: Gate, covered: bool) -> list[str]:
    skipped = sorted(((count, name) for name, count in tally.skipped.items() if count > 0), reverse=True)
    if not skipped:
        return []
    names = ", ".join(f"{name} {number(count)}" for count, name in skipped)
    if len(skipped) == 1:
        names = skipped[0][1]
    missed = tally.skipped.total()
    sentence = (
        f"{number(missed)} of {number(tally.eligible)} eligible exchanges "
        f"{'was' if missed == 1 else 'were'} not compared ({names})"
    )
    if not covered:
        share = percent(tally.compared / tally.eligible)
        sentence += f": coverage is {share}, the gate asks {percent(gate.coverage)}"
    return [sentence]


def number(count: int) -> str:
    """A count with a space between thousands: 4 812."""
    return f"{count:,}".replace(",", " ")


def percent(share: float, *, up: bool = False) -> str:
    """A share in percent, rounded towards the careful side, with at most three decimals."""
    thousandths = share * 100_000
    # What a float misses by its own rounding is not a reason to say 99.899 % for 99.9 %.
    whole = -int(-thousandths // 1) if up else int(thousandths + 1e-6)
    whole = min(whole, 100_000)
    text = f"{whole / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{text} %"
