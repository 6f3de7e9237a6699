"""What the library that carries events has to be told of the shop."""

import sqlite3
from pathlib import Path

from legacy_monolith import events, inbox, versions
from legacy_monolith.database import open_existing
from legacy_monolith.errors import UnusableDatabase
from legacy_monolith.problems import answer_for
from legacy_monolith.token_keys import KeyFile, own_token
from shop_events.program import Program, Sign

COMMAND = "python -m legacy_monolith"


def _take(db: sqlite3.Connection, body: bytes) -> None:
    inbox.handle(db, events.read(events.object_of(body)))


def _signer(path: Path | None) -> Sign:
    """Raises UnusableKeys."""
    keys = KeyFile(path) if path else None
    return lambda: own_token(keys)


PROGRAM = Program(
    command=COMMAND,
    group="shop",
    example="http://127.0.0.1:8003/events",
    newest=versions.NEWEST,
    older=versions.no_newer_than,
    open_existing=open_existing,
    unusable=UnusableDatabase,
    take=_take,
    status_of=lambda error: answer_for(error).status,
    signer=_signer,
)
