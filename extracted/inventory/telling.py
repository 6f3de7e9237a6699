"""What the library that carries events has to be told of this service."""

import sqlite3
from http import HTTPStatus
from pathlib import Path

from extracted.inventory import events, handling, versions
from extracted.inventory.database import UnusableDatabase, open_existing
from extracted.inventory.problems import NotReady, Refused, answer_for
from extracted.inventory.tokens import KeyFile, own_token
from extracted.inventory.writing import object_of
from shop_events.program import Program, Sign

COMMAND = "python -m extracted.inventory"


def _take(db: sqlite3.Connection, body: bytes) -> None:
    """Take what came through a stream, where a stranger may write too: after an import, only he waits for one."""
    try:
        handling.handle(db, events.read(object_of(body)))
    except NotReady as error:
        if handling.sources(db):
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        raise


def _signer(path: Path | None) -> Sign:
    """Raises UnusableKeys."""
    keys = KeyFile(path) if path else None
    return lambda: own_token(keys)


PROGRAM = Program(
    command=COMMAND,
    group="inventory",
    example="http://127.0.0.1:8001/events",
    newest=versions.NEWEST,
    older=versions.no_newer_than,
    open_existing=open_existing,
    unusable=UnusableDatabase,
    take=_take,
    status_of=lambda error: answer_for(error).status,
    signer=_signer,
)
