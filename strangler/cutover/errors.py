"""What can stand in the way of a change, named by whose fault it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from strangler.compare import printable
from strangler.evidence import Releases


class CutoverError(Exception):
    """A change that was not made. The message is one line for the person who asked."""


class UnknownRoute(CutoverError):
    """The asker named a route that routes.yaml does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = get_close_matches(name, names, n=1)
        if near:
            hint = f"; did you mean {near[0]}?"
        elif names:
            hint = "; there are: " + ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        else:
            hint = "; the file has no routes"
        super().__init__(f"no route is named {printable(name, 60)!r}{hint}")


class UnknownReleases(CutoverError):
    """The asker named a pair of releases that there is no evidence of; `known` are those there are, oldest first."""

    def __init__(self, route: str, asked: Releases, known: Sequence[Releases]) -> None:
        there = "; ".join(_pair(releases) for releases in list(reversed(known))[:8])
        hint = f"there is evidence of {there}" if there else "there is none at all"
        super().__init__(f"{printable(route, 60)}: no evidence of {_pair(asked)}; {hint}")


def _pair(releases: Releases) -> str:
    legacy, extracted = (printable(name, 60) or "unknown" for name in releases)
    return f"legacy {legacy}, extracted {extracted}"


class BadValue(CutoverError):
    """The asker gave a value that cannot be: a share over 100 %, a reason with control characters."""


class CannotWrite(CutoverError):
    """The machine is in the way: permissions, a full disk, a change that never ends."""
