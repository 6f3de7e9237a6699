"""May it move, and the record of every move: edits of routes.yaml and the ledger behind them."""

from strangler.cutover.advice import advice_on
from strangler.cutover.back import roll_back
from strangler.cutover.errors import BadValue, CannotWrite, CutoverError, UnknownReleases, UnknownRoute
from strangler.cutover.file import change, check_why, note_by_hand, read_table, settled_value
from strangler.cutover.ledger import Entry, History
from strangler.cutover.moves import Kept, Moves, overlaid, read_moves
from strangler.cutover.orders import read_orders, set_order, skip_gate
from strangler.cutover.ramp import Look, Move, Order, Stand, carried_out, look
from strangler.cutover.releases import read_releases, release_of, set_release
from strangler.cutover.whole import write_whole

__all__ = [
    "BadValue",
    "CannotWrite",
    "CutoverError",
    "Entry",
    "History",
    "Kept",
    "Look",
    "Move",
    "Moves",
    "Order",
    "Stand",
    "UnknownReleases",
    "UnknownRoute",
    "advice_on",
    "carried_out",
    "change",
    "check_why",
    "look",
    "note_by_hand",
    "overlaid",
    "read_moves",
    "read_orders",
    "read_releases",
    "read_table",
    "release_of",
    "roll_back",
    "set_order",
    "set_release",
    "settled_value",
    "skip_gate",
    "write_whole",
]
