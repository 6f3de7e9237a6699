"""How often passwords may be tried for one account. Pure: the time comes in as an argument."""

from collections import OrderedDict
from dataclasses import dataclass

FREE = 5  # wrong passwords in a row before there is a wait
LONGEST_WAIT = 60  # seconds; the owner of an account that others try is never locked out for longer
FORGOTTEN_AFTER = 15 * 60  # seconds without an attempt
MOST_NAMES = 10_000  # those that are not heard of for longest are forgotten first


@dataclass(slots=True)
class _Tried:
    count: int
    last: float


class Attempts:
    """Counts attempts by the name that was typed, whether there is such an account or not."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, _Tried] = OrderedDict()

    def begin(self, name: str, now: float) -> int:
        """Count an attempt before its password is looked at, so that many at once are not one.

        Returns 0, or the seconds to wait: then it was no attempt, and the password must not be looked at.
        """
        tried = self._names.get(name)
        if tried is None or now - tried.last >= FORGOTTEN_AFTER:
            tried = self._names[name] = _Tried(0, now)
        elif (left := tried.last + wait_after(tried.count) - now) > 0:
            return max(1, round(left))
        tried.count += 1
        tried.last = now
        self._names.move_to_end(name)
        while len(self._names) > MOST_NAMES:
            self._names.popitem(last=False)
        return 0

    def succeeded(self, name: str) -> None:
        """Forget the attempts of a name: the password was right."""
        self._names.pop(name, None)


def wait_after(count: int) -> int:
    """Give the seconds between wrong password number `count` and the next attempt."""
    return 0 if count < FREE else int(min(LONGEST_WAIT, 2 ** min(count - FREE, 16)))
