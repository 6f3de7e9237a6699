"""A move that routes.yaml is not told: its entry in the ledger, and then the move itself in the state folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from strangler.cutover import ledger
from strangler.cutover.errors import CannotWrite
from strangler.cutover.ledger import Entry
from strangler.cutover.moves import Kept, Moves, read_moves, write_moves


def keep_move(state_dir: Path, entry: Entry, in_file: str, problem: str) -> Entry:
    """Keep a share in the state folder, in place of what the file says.

    Raises CannotWrite. The caller holds the lock.
    """
    move = Kept(share=entry.to, file=in_file, at=entry.at, who=entry.who, problem=problem)
    return enter(state_dir, entry, {**read_moves(state_dir), entry.route: move})


def enter(state_dir: Path, entry: Entry, moves: Moves) -> Entry:
    """Append the entry, then write down the moves. A move that cannot be written is taken back in the ledger.

    Raises CannotWrite. The caller holds the lock.
    """
    written = ledger.append(state_dir, entry)
    try:
        write_moves(state_dir, moves)
    except CannotWrite as error:
        ledger.append(state_dir, taken_back(written, f"not carried out: {error}", written.at))
        raise
    return written


def taken_back(entry: Entry, why: str, at: str) -> Entry:
    """The entry that says of another that it did not happen."""
    return msgspec.structs.replace(
        entry,
        at=at,
        who="strangler",
        from_=entry.to,
        to=entry.from_,
        why=why,
        file_before=entry.file_after,
        file_after=entry.file_before,
        evidence="",
    )
