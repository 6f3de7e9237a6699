"""How sure a match rate is, at every look.

A fixed-sample interval looked at again and again is wrong sooner or later. A confidence sequence is not: with
probability `confidence` it holds the true rate at *all* sample sizes at once. This is the beta-binomial one:
a mixture over rates drawn from a Beta prior, divided by the likelihood, is a martingale, and Ville's
inequality bounds how often it ever exceeds 1/alpha (Robbins 1970, "Statistical methods related to the law of
the iterated logarithm"; Howard, Ramdas, McAuliffe, Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
confidence sequences"; Waudby-Smith, Ramdas 2020, "Confidence sequences for sampling without replacement",
the prior-posterior ratio).
"""

from __future__ import annotations

import math
from typing import Final

#: The mixture. Its weight near a rate of 1 is what makes 99.9 % provable: without a mismatch it takes
#: 4 773 pairs at 95 %. Being wrong about the prior costs pairs, never validity.
PRIOR_MATCH: Final = 1.0
PRIOR_MISMATCH: Final = 0.2

_PRIOR: Final = (PRIOR_MATCH, PRIOR_MISMATCH)
#: For a quantile the rate is known, and the mixture lies around it, as if so many values beyond it had been seen: so
#: its band is narrowest at some ten times as many.
PRIOR_BEYOND: Final = 5.0

#: More pairs than this is "never": at a hundred a second they take four months.
_NEVER: Final = 10**9
_STEPS: Final = 60  # halvings of [0, 1] down to what a double tells apart


def match_interval(matches: int, pairs: int, confidence: float = 0.95) -> tuple[float, float]:
    """The lowest and highest true match rate that the evidence leaves possible.

    Raises ValueError when `matches` is not within 0 … `pairs` or `confidence` not between 0 and 1.
    """
    if not 0 <= matches <= pairs:
        raise ValueError(f"{matches} matches of {pairs} pairs")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}")
    if pairs == 0:
        return 0.0, 1.0
    estimate = matches / pairs
    low = 0.0 if matches == 0 else _edge(matches, pairs, confidence, outside=0.0, inside=estimate)
    high = 1.0 if matches == pairs else _edge(matches, pairs, confidence, outside=1.0, inside=estimate)
    return low, high


def pairs_needed(matches: int, pairs: int, target: float, confidence: float = 0.95) -> int | None:
    """How many more pairs, all of them matching, would prove a rate of `target`; 0 when it is proven.

    None when the evidence has already ruled that rate out, or no number of pairs would be enough.
    """
    low, high = match_interval(matches, pairs, confidence)
    if low >= target:
        return 0
    if high < target or target >= 1:
        return None

    def proven(more: int) -> bool:
        return not _possible(matches + more, pairs + more, target, confidence)

    enough = 1
    while not proven(enough):
        enough *= 2
        if enough > _NEVER:
            return None
    least = enough // 2
    while enough - least > 1:
        middle = (least + enough) // 2
        least, enough = (least, middle) if proven(middle) else (middle, enough)
    return enough


def quantile_ranks(count: int, share: float, confidence: float = 0.95) -> tuple[int, int]:
    """The ranks (from 1) of the smallest and the largest of `count` sorted values that may be the quantile of `share`
    (0.5 is the median); a rank of 0 or `count` + 1 is no value at all.

    How many values lie below the true quantile is a coin's game, so this holds at every look, as the intervals do
    (Howard, Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing", section 3).
    """
    if count == 0:
        return 0, 1
    likely = round(share * count)
    prior = (PRIOR_BEYOND * share / (1 - share), PRIOR_BEYOND)

    def first(beyond: int, within: int) -> int:
        while abs(within - beyond) > 1:
            middle = (beyond + within) // 2
            if _possible(middle, count, share, confidence, prior):
                within = middle
            else:
                beyond = middle
        return within

    return first(-1, likely), first(count + 1, likely) + 1


def _edge(matches: int, pairs: int, confidence: float, *, outside: float, inside: float) -> float:
    # The log-likelihood is concave, so the possible rates are one interval around the estimate.
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if _possible(matches, pairs, middle, confidence):
            inside = middle
        else:
            outside = middle
    return inside


def _possible(
    matches: int, pairs: int, rate: float, confidence: float, prior: tuple[float, float] = _PRIOR
) -> bool:
    if rate <= 0.0 or rate >= 1.0:
        return (rate >= 1.0 and matches == pairs) or (rate <= 0.0 and matches == 0)
    mismatches = pairs - matches
    mixture = _log_beta(prior[0] + matches, prior[1] + mismatches) - _log_beta(*prior)
    likelihood = matches * math.log(rate) + mismatches * math.log1p(-rate)
    return mixture - likelihood < -math.log1p(-confidence)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
