"""What the answer to a call means for the step that made it. Pure.

An answer settles a step when it says what has become of it: done, or refused for a reason that a customer
understands. Whatever is not understood settles nothing: it is asked again, with the same key, until there is no
patience left. Only what cannot get better by asking again fails at once.
"""

import json
from dataclasses import dataclass

from legacy_monolith.errors import NotPaid, OutOfStock, Refused
from legacy_monolith.saga import Step

#: (step, status) that are refusals, and what they are for the customer.
REFUSALS: dict[tuple[Step, int], type[Refused]] = {
    ("reserve", 409): OutOfStock,
    ("charge", 402): NotPaid,
}
LONGEST = 500  # characters of what a service says that are kept
LOCKED = 401  # the service takes us for a stranger, which says nothing about the step
#: Of what a caller is to blame for (4xx), this may get better by itself: a route that is just being changed, a
#: time limit, a crowd.
PASSING = frozenset({404, 405, 408, 421, 425, 429})


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, as far as it matters. `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The step has been carried out."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The step will not be carried out, and has left nothing behind."""

    error: type[Refused]
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody knows whether the step was carried out, and it will not be asked for any more."""

    text: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Nothing is known. `hopeless` says that asking again is of no use, `wait` for how long at least not to ask."""

    text: str
    hopeless: bool = False
    wait: float = 0.0


Reply = Done | Refusal | Failed


def judge(step: Step, heard: Heard) -> Done | Refusal | Unsettled:
    """Say what an answer means."""
    text = f"{heard.status} {_detail(heard.body)}".strip()
    if 200 <= heard.status < 300:
        return Done()
    if heard.retry_after is not None:
        return Unsettled(text, wait=heard.retry_after)
    refusal = REFUSALS.get((step, heard.status))
    if refusal is not None:
        return Refusal(refusal, _detail(heard.body) or f"{step} was refused")
    return Unsettled(text, hopeless=400 <= heard.status < 500 and heard.status not in PASSING)


def locked(heard: Heard, *, signed: bool, attended: bool) -> Unsettled:
    """Say what it means that a service has not let us in: keys may just be rotating, and the step is as it was.

    `signed` says whether the call had a token, `attended` whether somebody waits who could mend that.
    """
    cause = "our --token-keys are not the service's" if signed else "we have no --token-keys to show one"
    text = f"{heard.status} {_detail(heard.body)}".strip()
    return Unsettled(f"{text}; {cause}", hopeless=attended and not signed)


def _detail(body: bytes) -> str:
    """The member `detail` of a problem (RFC 9457), or nothing."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    detail = data.get("detail") if isinstance(data, dict) else None
    if not isinstance(detail, str):
        return ""
    # JSON can spell half of a surrogate pair (RFC 8259 section 8.2), and no database takes it as text.
    return detail[:LONGEST].encode(errors="backslashreplace").decode()
