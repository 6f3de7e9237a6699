"""Which differences are noise: the side that answered, asked twice, differs from itself as much as from the other.

A field is noise for a route when three things hold. Its differences are scalar and of one type (two timestamps, two
UUIDs, two tokens, two numbers). The answering side differs from itself in it often enough to know. And, over the same
requests, an exact paired test does not tell the other side's differences from that side's own: McNemar 1947, "Note on
the sampling error of the difference between correlated proportions", in the exact form (the discordant pairs are coin
tosses), one-sided, at 5 % divided by the number of fields looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from strangler.compare.drift import LEAST, Drift

#: How often a side must have differed from itself in a field before that says anything.
FEWEST: Final = 5
#: The level of the test, before it is divided by the number of fields.
LEVEL: Final = 0.05
Finding = Literal["noise", "told_apart", "not_scalar", "too_few", "never_alone", "refused"]


@dataclass(frozen=True, slots=True)
class FieldTally:
    """One field over all probes: in how many the answering side differed from itself (`itself`), the sides from
    each other (`sides`), both. `type` and `size` are those of its drift; `type` "" is no drift."""

    both: int = 0
    itself: int = 0
    sides: int = 0
    type: str = ""
    size: int = LEAST

    @property
    def alone(self) -> int:
        """How often the answering side differed from itself."""
        return self.both + self.itself


def chance(tally: FieldTally) -> float:
    """How likely this many or more differences of the sides alone are, if both differ equally often."""
    tosses = tally.itself + tally.sides
    if not tosses:
        return 1.0
    if 2 * tally.sides > tosses:
        return _tail(tosses, tally.sides)
    return 1.0 - _tail(tosses, tosses - tally.sides + 1)


def _tail(tosses: int, least: int) -> float:
    """The chance of at least so many heads, more than half of the tosses: terms that shrink, until they are nothing."""
    if least > tosses:
        return 0.0
    log_term = math.lgamma(tosses + 1) - math.lgamma(least + 1) - math.lgamma(tosses - least + 1)
    term = math.exp(log_term + tosses * math.log(0.5))
    total = 0.0
    for heads in range(least, tosses + 1):
        total += term
        if term <= total * 1e-17:
            break
        term *= (tosses - heads) / (heads + 1)
    return min(1.0, total)


def findings(fields: Mapping[str, FieldTally], refused: frozenset[str]) -> dict[str, Finding]:
    """What is found of every field. `refused`: those that a team does not want to be taken for noise."""
    return {name: _finding(tally, len(fields), name in refused) for name, tally in fields.items()}


def explains(tally: FieldTally, drift: Drift) -> bool:
    """Whether a difference of a noisy field is of the noise's own type, and no wider than the noise."""
    return drift.type == tally.type and drift.size <= tally.size


def _finding(tally: FieldTally, fields: int, is_refused: bool) -> Finding:
    if not tally.alone:
        return "never_alone"
    if not tally.type:
        return "not_scalar"
    if tally.alone < FEWEST:
        return "too_few"
    if chance(tally) < LEVEL / fields:
        return "told_apart"
    return "refused" if is_refused else "noise"
