"""What a side is sent: the target and the headers of a request, after a route's edits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from strangler.routes.model import HeaderEdits, Route, Side
from strangler.routes.pattern import REST

Headers = tuple[tuple[bytes, bytes], ...]

_REST = "/" + REST
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def target_for(route: Route | None, side: Side, target: str, parameters: Mapping[str, str]) -> str:
    """The target that a side is asked for. Only the extracted side's path is rewritten; the query goes on as it is."""
    if route is None or route.rewrite is None or side == "legacy":
        return target
    path = route.rewrite.removesuffix(_REST)
    rest = len(path) < len(route.rewrite) and REST in parameters
    path = _PLACEHOLDER.sub(lambda found: parameters[found[1]], path)
    if rest:
        path += "/" + parameters[REST]
    mark = target.find("?")
    return (path or "/") + (target[mark:] if mark >= 0 else "")


def edit_headers(edits: HeaderEdits, headers: Headers) -> Headers:
    """The headers with a route's edits. Names compare without case.

    A header that is set takes the place of the first one of its name, and the others of that name go; one that was
    not there comes last.
    """
    if not edits.set and not edits.remove:
        return headers
    wanted, removed = _compile(edits)
    edited: list[tuple[bytes, bytes]] = []
    done: set[bytes] = set()
    for header in headers:
        name = header[0].lower()
        if name in removed:
            continue
        if name in wanted:
            if name not in done:
                edited.append(wanted[name])
                done.add(name)
        else:
            edited.append(header)
    edited.extend(header for name, header in wanted.items() if name not in done)
    return tuple(edited)


@lru_cache(maxsize=1024)
def _compile(edits: HeaderEdits) -> tuple[dict[bytes, tuple[bytes, bytes]], frozenset[bytes]]:
    pairs = [(name.encode("ascii"), value.encode()) for name, value in edits.set]
    wanted = {name.lower(): (name, value) for name, value in pairs}
    return wanted, frozenset(name.lower().encode("ascii") for name in edits.remove)
