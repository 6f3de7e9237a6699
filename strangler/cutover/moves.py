"""Moves that routes.yaml could not be told of: kept beside it, in `moves.json` in the state folder, until it can.

The file is the only truth about routes, but a rollback must not wait for a disk that can be written again. So the
share is kept here, with the share that the file says. It holds as long as the file says just that of the route: the
file's own later change wins, for good. What it has overruled goes, so that it does not hold once more when the file
says again, weeks later, what it said then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from strangler.cutover.errors import CannotWrite
from strangler.cutover.whole import read_kept, write_kept
from strangler.routes import Table, format_percent, parse_percent

NAME = "moves.json"


class Kept(msgspec.Struct, frozen=True):
    """A share that holds in place of the file's. `at` is ISO 8601 UTC, `problem` why the file could not be written."""

    share: str
    file: str
    at: str
    who: str
    problem: str


Moves = Mapping[str, Kept]


def read_moves(state_dir: Path) -> Moves:
    """Route name -> its move. Raises CannotWrite when the file cannot be understood."""
    moves = read_kept(state_dir / NAME, dict[str, Kept]) or {}
    try:
        for kept in moves.values():
            parse_percent(kept.share)
    except ValueError as error:
        raise CannotWrite(f"{state_dir / NAME}: cannot be read: {error}") from None
    return moves


def write_moves(state_dir: Path, moves: Moves) -> None:
    """Write down all the moves that hold. Raises CannotWrite."""
    write_kept(state_dir / NAME, moves)


def without(moves: Moves, route: str) -> Moves:
    """All of them but that of a route."""
    return {name: move for name, move in moves.items() if name != route}


def let_go_of_overruled(state_dir: Path, table: Table) -> None:
    """Forget the moves of which the file says something else by now. `table` is as `overlaid` gives it.

    Raises CannotWrite. A route that is not there has said nothing: half a file that somebody is just writing may look
    like that.
    """
    moves, holding = read_moves(state_dir), dict(table.kept)
    left = {name: move for name, move in moves.items() if name in holding or table.share_of(name) is None}
    if len(left) < len(moves):
        write_moves(state_dir, left)


def overlaid(table: Table, moves: Moves) -> Table:
    """The table with the moves that hold. `kept` of the result says which, and what the file says of them."""
    held = {
        route.name: route.share
        for route in table.routes
        if (kept := moves.get(route.name)) is not None
        and kept.file == format_percent(route.share) != kept.share
    }
    if not held:
        return table
    routes = tuple(
        replace(route, share=parse_percent(moves[route.name].share)) if route.name in held else route
        for route in table.routes
    )
    return replace(table, routes=routes, kept=tuple(sorted(held.items())))
