"""Two rates compared, and two latencies, by tests that hold at every look.

Is the extracted side's error rate higher than the legacy side's by more than a margin, or lower than that? Both
sides' counts are taken as coin tosses of unknown rates. A mixture over rates for each side, divided by the largest
likelihood that the hypothesis allows, never exceeds a martingale under the hypothesis; so it exceeds 1/alpha at any
time with probability alpha at most (Ville's inequality). That is universal inference with a mixture in the numerator
(Wasserman, Ramdas, Balakrishnan 2020, "Universal inference"; Robbins 1970 for the mixture; Turner, Ly, Grünwald 2021,
"Generic E-variables for exact sequential k-sample tests", for the two-sample case). It depends on the four counts only.

A quantile is compared through the ranks that may hold it (Howard, Ramdas 2022, "Sequential estimation of quantiles with
applications to A/B testing"): a band for each side, each at half of the error probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from strangler.evidence.bounds import quantile_ranks
from strangler.evidence.tally import Histogram

#: The mixture over error rates: its weight near 0 is what makes small rates provable (as in bounds.py).
PRIOR_ERROR: Final = 0.2
PRIOR_GOOD: Final = 1.0

#: Nobody waits for less (milliseconds): on a quick route, 1 ms against 2 ms is twice, and nothing.
UNFELT: Final = 5.0

_STEPS: Final = 50  # halvings
_FURTHEST: Final = 10_000.0  # times as much evidence as there is: further ahead is "never"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many errors among so many requests."""

    errors: float = 0
    count: float = 0

    @property
    def estimate(self) -> float:
        """Errors per request; 0 when there was none."""
        return self.errors / self.count if self.count else 0.0


def is_worse(legacy: Rate, extracted: Rate, margin: float, confidence: float) -> bool:
    """It is shown that the extracted rate exceeds the legacy rate by more than `margin` (0 … 1)."""
    if not extracted.count or not legacy.count or extracted.estimate - legacy.estimate <= margin:
        return False
    return _exceeds(legacy, extracted, margin, confidence)


def is_no_worse(legacy: Rate, extracted: Rate, margin: float, confidence: float) -> bool:
    """It is shown that the extracted rate exceeds the legacy rate by less than `margin` (0 … 1)."""
    if not extracted.count or extracted.estimate - legacy.estimate >= margin:
        return False
    return _exceeds(legacy, extracted, margin, confidence)


def factor_needed(legacy: Rate, extracted: Rate, margin: float, confidence: float) -> float | None:
    """How many times the present evidence, all of it like the present, would show that it is no worse.

    1.0 when it is shown; None when no amount of such evidence shows it, or there is nothing to go by.
    """
    if not extracted.count or extracted.estimate - legacy.estimate >= margin:
        return None

    def shown(times: float) -> bool:
        one, other = (Rate(rate.errors * times, rate.count * times) for rate in (legacy, extracted))
        return is_no_worse(one, other, margin, confidence)

    low, high = 1.0, 1.0
    while not shown(high):
        low, high = high, high * 2
        if high > _FURTHEST:
            return None
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def quantile_band(waits: Histogram, share: float, confidence: float) -> tuple[float | None, float | None]:
    """The lowest and highest value (milliseconds, within 2 %) that a quantile may have; None: unbounded."""
    count = waits.buckets.total()
    if not count:
        return None, None
    low, high = quantile_ranks(count, share, confidence)
    return waits.at_rank(low), waits.at_rank(high)


def is_slower(legacy: Histogram, extracted: Histogram, factor: float, confidence: float) -> bool:
    """It is shown that the extracted 99th percentile is more than `factor` times the legacy one, and felt."""
    (_, most), (least, _) = _bands(legacy, extracted, confidence)
    return most is not None and least is not None and least > max(factor * most, most + UNFELT)


def is_no_slower(legacy: Histogram, extracted: Histogram, factor: float, confidence: float) -> bool:
    """It is shown that the extracted 99th percentile is less than `factor` times the legacy one, or not felt."""
    (least, _), (_, most) = _bands(legacy, extracted, confidence)
    return least is not None and most is not None and most <= max(factor * least, least + UNFELT)


def _bands(
    legacy: Histogram, extracted: Histogram, confidence: float
) -> tuple[tuple[float | None, float | None], tuple[float | None, float | None]]:
    each = 1 - (1 - confidence) / 2
    return quantile_band(legacy, 0.99, each), quantile_band(extracted, 0.99, each)


def _exceeds(legacy: Rate, extracted: Rate, margin: float, confidence: float) -> bool:
    """The counts are too unlikely for any pair of rates on the far side of `margin`; they are on the near side."""
    evidence = _mixture(legacy) + _mixture(extracted) - _best_on_boundary(legacy, extracted, margin)
    return evidence > -math.log1p(-confidence)


def _mixture(rate: Rate) -> float:
    good = rate.count - rate.errors
    return _log_beta(PRIOR_ERROR + rate.errors, PRIOR_GOOD + good) - _log_beta(PRIOR_ERROR, PRIOR_GOOD)


def _best_on_boundary(legacy: Rate, extracted: Rate, margin: float) -> float:
    """The largest log-likelihood with rates that differ by exactly `margin`. It is concave in the legacy rate."""
    low, high = 0.0, 1.0 - margin
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _slope(legacy, middle) + _slope(extracted, middle + margin) > 0:
            low = middle
        else:
            high = middle
    # Both ends of what is left: at the very edge of what can be, one of them is impossible.
    return max(
        _likelihood(legacy, at) + _likelihood(extracted, at + margin) for at in (low, (low + high) / 2, high)
    )


def _slope(rate: Rate, at: float) -> float:
    good = rate.count - rate.errors
    rising = rate.errors / at if rate.errors else 0.0
    return rising - (good / (1 - at) if at < 1 else math.inf if good else 0.0)


def _likelihood(rate: Rate, at: float) -> float:
    good = rate.count - rate.errors
    if (at <= 0 and rate.errors) or (at >= 1 and good):
        return -math.inf
    return (rate.errors * math.log(at) if rate.errors else 0.0) + (good * math.log1p(-at) if good else 0.0)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
