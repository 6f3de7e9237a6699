"""How long to wait before a step is asked for again, and when to give up. Pure."""

from dataclasses import dataclass

from legacy_monolith.saga import FORWARD, Step


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with full jitter; all in seconds.

    Full jitter draws from nothing to the whole of the wait, so that callers which failed together do not come back
    together: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float = 0.1  # the longest wait after the first attempt; it doubles with each further one
    most: float = 5.0
    retry_for: float = 30.0  # how long reserve, charge and confirm are tried
    undo_for: float = 600.0  # how long refund and release are

    def pause(self, step: Step, attempt: int, passed: float, drawn: float, wait: float = 0.0) -> float | None:
        """Give the wait after an attempt (they count from 1) that failed; None when it was the last.

        `passed` is the time since the first attempt began, `drawn` is from [0, 1), `wait` is what the other side
        asked for.
        """
        longest = min(self.most, self.first * 2.0 ** min(attempt - 1, 60))
        pause = max(longest * drawn, min(wait, self.most))
        patience = self.retry_for if step in FORWARD else self.undo_for
        return pause if passed + pause <= patience else None
