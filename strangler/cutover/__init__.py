"""May it move, and the record of every move: edits of routes.yaml and the ledger behind them."""

from strangler.cutover.errors import BadValue, CannotWrite, CutoverError, UnknownRoute
from strangler.cutover.file import change, check_why, read_table, settled_value
from strangler.cutover.ledger import Entry, History

__all__ = [
    "BadValue",
    "CannotWrite",
    "CutoverError",
    "Entry",
    "History",
    "UnknownRoute",
    "change",
    "check_why",
    "read_table",
    "settled_value",
]
