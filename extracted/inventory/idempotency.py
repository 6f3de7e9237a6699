"""Doing a thing once, however often it is asked for: every write carries a key, and a key has one answer.

The effect of a request and the answer to it are stored in one transaction, so there is never one without the
other. A request with a key that is known gets the first answer again; one with a known key and another body is
refused. Of two requests with one key at the same time, the second waits for the database until the first is done.
Keys are forgotten after a time; a caller that repeats itself does so sooner.
"""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from extracted.inventory.problems import KeyReused, Malformed, Refused, problem
from shop_events.transactions import savepoint, transaction

KEPT_SECONDS = 24 * 3600.0  # how long an answer is kept for its key

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Result:
    """What a write answers: a status, and a body of JSON."""

    status: int
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was stored; `again` says that it had been given before."""

    status: int
    body: str
    again: bool


Work = Callable[[sqlite3.Connection], Result]


def key_of(header: str | None) -> str:
    """Read the header Idempotency-Key: 1 to 255 visible ASCII characters. Raises Malformed."""
    if header is None:
        raise Malformed("the header Idempotency-Key is missing")
    if not _KEY.fullmatch(header):
        raise Malformed("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return header


def once(db: sqlite3.Connection, key: str, target: str, data: object, work: Work, now: float) -> Given:
    """Do the work and store its answer, or give the answer that this key has got. Raises KeyReused.

    `target` and `data` (the body, as JSON has it) are what the key stands for. A refusal (Refused) is an answer
    like any other, and undoes what the work has done before it. `now` is in seconds since the epoch.
    """
    with transaction(db):
        db.execute("DELETE FROM answers WHERE given_at < ?", (now - KEPT_SECONDS,))
        request = _digest(target, data)
        known = db.execute("SELECT request, status, body FROM answers WHERE key = ?", (key,)).fetchone()
        if known is not None:
            if known[0] != request:
                raise KeyReused(f"the key {key} was used for another request")
            return Given(known[1], known[2], again=True)
        try:
            with savepoint(db):
                result = work(db)
        except Refused as error:
            result = Result(int(error.status), problem(error.status, str(error)))
        body = json.dumps(result.body)
        db.execute(
            "INSERT INTO answers (key, request, status, body, given_at) VALUES (?, ?, ?, ?, ?)",
            (key, request, result.status, body, now),
        )
        return Given(result.status, body, again=False)


def _digest(target: str, data: object) -> str:
    # By meaning and not by bytes: spaces and the order of members make no other request.
    return sha256(f"{target} {json.dumps(data, sort_keys=True, default=float)}".encode()).hexdigest()
