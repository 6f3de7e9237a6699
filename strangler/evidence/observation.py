"""An observation: what one exchange and its shadow showed, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from strangler.compare import Answered, Difference, Redactor

Outcome = Literal["match", "noise", "accepted", "transient", "mismatch", "skipped"]

#: The outcomes of an exchange that was compared, in the order of a report.
COMPARED: Final[tuple[Outcome, ...]] = ("match", "noise", "accepted", "transient", "mismatch")

#: How much of each body and of the target an example keeps, in characters.
BODY_LIMIT: Final = 4096
TARGET_LIMIT: Final = 2048


#: What a shadow was answered with: a status below 500, a 5xx, or nothing whole.
SHADOWS: Final = tuple(
    f"shadow_{side}_{how}" for side in ("legacy", "extracted") for how in ("ok", "5xx", "failed")
)


class Releases(NamedTuple):
    """The versions of the two sides that gave the answers; "" where a side did not say."""

    legacy: str
    extracted: str


#: What a route has before any pair of releases is known.
UNKNOWN: Final = Releases("", "")


@dataclass(frozen=True, slots=True)
class Example:
    """What a person needs to see a mismatch: never request headers, of the bodies the beginning, redacted."""

    method: str
    target: str
    legacy_body: str
    extracted_body: str


def example(method: str, target: str, legacy: Answered, extracted: Answered, redactor: Redactor) -> Example:
    """The example of a pair of answers, redacted, its bodies decoded where possible and cut to 4 096 characters."""
    return Example(
        method=method,
        target=redactor.text(target)[:TARGET_LIMIT],
        legacy_body=redactor.body(legacy.headers, legacy.body, BODY_LIMIT),
        extracted_body=redactor.body(extracted.headers, extracted.body, BODY_LIMIT),
    )


@dataclass(frozen=True, slots=True)
class Probe:
    """In what the side that answered differed from itself, and in what the sides differed, at the same request."""

    itself: tuple[Difference, ...]
    sides: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """One exchange, once its outcome is known.

    `at` is Unix time in seconds; `reason` is "" unless the outcome is `skipped`; `statuses` and `latency_ms`
    are (legacy, extracted), None when a side gave no answer; `worker` is the gateway incarnation that handed
    the exchange over; `target` is there when the request can be asked again, being safe and without anything
    redacted; `example` comes with a mismatch only. `request` and `caller` are keyed hashes of 64 bits.

    When both sides were asked again, `differences` are those that were still there, `gone` those that were not, and
    `settled_ms` is the time until then. `rules` had work to do; `probe` is there when the side that answered was
    asked twice. `shadow` says which side was sent the copy and how that went, as one of SHADOWS; "" when none was sent.
    """

    route: str
    method: str
    target: str
    at: float
    releases: Releases
    outcome: Outcome
    worker: str
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    statuses: tuple[int, int] | None = None
    latency_ms: tuple[float, float] | None = None
    caller: int = 0
    example: Example | None = None
    request: int = 0
    gone: tuple[Difference, ...] = ()
    settled_ms: float | None = None
    rules: frozenset[str] = frozenset()
    probe: Probe | None = None
    shadow: str = ""
