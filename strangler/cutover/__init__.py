"""May it move, and the record of every move: edits of routes.yaml and the ledger behind them."""

from strangler.cutover.advice import advice_on
from strangler.cutover.errors import BadValue, CannotWrite, CutoverError, UnknownRoute
from strangler.cutover.file import change, check_why, read_table, settled_value
from strangler.cutover.ledger import Entry, History
from strangler.cutover.releases import read_releases, release_of, set_release
from strangler.cutover.whole import write_whole

__all__ = [
    "BadValue",
    "CannotWrite",
    "CutoverError",
    "Entry",
    "History",
    "UnknownRoute",
    "advice_on",
    "change",
    "check_why",
    "read_releases",
    "read_table",
    "release_of",
    "set_release",
    "settled_value",
    "write_whole",
]
