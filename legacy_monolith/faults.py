"""For tests: a process that dies by itself, as if by kill -9, at a point that an environment variable names."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import get_args

from legacy_monolith.errors import WrongUse
from legacy_monolith.saga import Step

VARIABLE = "SHOP_DIE_AT"
#: Before and after an entry of the log is committed, and when the answer to a call is there and not yet written.
MOMENTS = (
    *("before-begun", "after-begun", "after-call", "before-done", "after-done"),
    *("before-refused", "after-refused", "before-failed", "after-failed"),
)
POINTS = frozenset(f"{step}:{moment}" for step in get_args(Step) for moment in MOMENTS)


def nothing(point: str) -> None:
    """Do nothing at any point: what everybody wants who is not a test."""


def reach_of(environment: Mapping[str, str]) -> Callable[[str], None]:
    """Give what is to be called at every point. Raises WrongUse for a point that there is not."""
    fatal = environment.get(VARIABLE)
    if not fatal:
        return nothing
    if fatal not in POINTS:
        raise WrongUse(f"{VARIABLE} names no point: {fatal!r}")

    def reach(point: str) -> None:
        if point == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
