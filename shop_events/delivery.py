"""What to deliver to a consumer next, how long to wait after a failure, and when to give up. Pure.

A consumer gets the events of one key in their order: while one of them is tried again, those behind it wait, and
events of other keys go on. One that is given up is a dead letter, and those behind it go on too; when a person has
it delivered after all, it comes late.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shop_events.stream import Entry

MOST_WAITING = 1_000  # events that wait while others go on; with more than that, all wait


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that was passed over: it has failed, or (`attempts` 0) stands behind one of its key that has."""

    sequence: int
    key: str
    attempts: int
    due: float  # seconds since the epoch: not before that


@dataclass(frozen=True, slots=True)
class Head:
    """The first event that was never tried."""

    sequence: int
    key: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver this event; it has failed `attempts` times."""

    sequence: int
    attempts: int


@dataclass(frozen=True, slots=True)
class PassOver:
    """Put this event, the head, among those that wait."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to do for so many seconds, or (None) until there is a new event."""

    seconds: float | None


def next_step(
    waiting: Sequence[Waiting], head: Head | None, now: float, most: float
) -> Deliver | PassOver | Wait:
    """Decide what is next for a consumer; `now` is in seconds since the epoch.

    No pause is longer than `most` seconds, so what is due only after that was put off by a clock that was ahead.
    """
    firsts: dict[str, Waiting] = {}
    for each in sorted(waiting, key=lambda one: one.sequence):
        firsts.setdefault(each.key, each)
    due = [each for each in firsts.values() if not now < each.due <= now + most]
    if due:
        return Deliver(due[0].sequence, due[0].attempts)
    soonest = min((each.due - now for each in firsts.values()), default=None)
    if head is None or (head.key in firsts and len(waiting) >= MOST_WAITING):
        return Wait(soonest)
    return PassOver(head.sequence) if head.key in firsts else Deliver(head.sequence, 0)


@dataclass(frozen=True, slots=True)
class Patience:
    """Exponential backoff with full jitter, up to a number of attempts; times in seconds.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float = 0.2  # the longest wait after the first attempt; it doubles with each further one
    most: float = 30.0
    attempts: int = 8

    def pause(self, attempts: int, drawn: float) -> float:
        """Give the wait after so many attempts (1 or more) that failed; `drawn` is from [0, 1)."""
        return drawn * min(self.most, self.first * 2.0 ** min(attempts - 1, 60))

    def exhausted(self, attempts: int) -> bool:
        """Say whether an event that has failed so often is given up."""
        return attempts >= self.attempts


@dataclass(frozen=True, slots=True)
class Taken:
    """The consumer has it: now, or since an earlier attempt. With an `entry`, it lies in the consumer's stream."""

    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Spoiled:
    """The event has failed. `hopeless`: it will fail again, however often it comes."""

    text: str
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The consumer cannot be had; that says nothing about the event, and uses up no attempt of it.

    `wrong`: we, or the consumer, are set up wrongly. Keys may just be rotating; if not, a person has to mend that.
    """

    text: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The consumer's stream has lost what was put there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The consumer has acknowledged all of its stream up to `through`, but for `pending`."""

    through: Entry
    pending: frozenset[Entry]


HOPELESS = frozenset(
    {400, 413, 422}
)  # malformed, too large, of a type or version that the consumer does not know
AWAY = frozenset({502, 503, 504})
LOCKED = 401


def plain(text: str) -> str:
    """Write what was said of an event as a line for a terminal: a stranger may have had a part in it."""
    return "".join(each if each.isprintable() else "?" for each in text[:500])


def judge(status: int, detail: str) -> Taken | Spoiled | Absent:
    """Say what an answer means."""
    if 200 <= status < 300:
        return Taken()
    text = f"{status} {detail}".rstrip()
    if status == LOCKED:
        return Absent(text, wrong=True)
    return Absent(text) if status in AWAY else Spoiled(text, status in HOPELESS)
