"""Sessions: who has logged in, by a secret in a cookie, until they log out or for twelve hours.

The table holds a hash of the secret: whoever reads the database cannot take a session over.
"""

import hmac
import re
import secrets
import sqlite3
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from shop_events.transactions import transaction

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sessions (
        session_hash BLOB PRIMARY KEY,
        account_id INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

LIFE = 12 * 3600  # seconds, from the login on; reading a page does not lengthen it, and so writes nothing

SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # 32 bytes in base64url without padding


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in. `secret` is what the cookie holds."""

    secret: str
    account_id: int

    @property
    def form_key(self) -> str:
        """What every form of this session carries, and no page of others can know."""
        return _base64(hmac.digest(self.secret.encode(), b"form", "sha256"))


def begin(db: sqlite3.Connection, account_id: int, previous: str | None, now: int) -> Session:
    """Begin a session under a new secret, whatever the caller had before, which ends."""
    session = Session(secrets.token_urlsafe(32), account_id)
    with transaction(db):
        db.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
        if previous is not None:
            end(db, previous)
        db.execute(
            "INSERT INTO sessions (session_hash, account_id, expires_at) VALUES (?, ?, ?)",
            (_hash(session.secret), account_id, now + LIFE),
        )
    return session


def find(db: sqlite3.Connection, secret: str | None, now: int) -> Session | None:
    """Find the session of a cookie, if it is one and not over."""
    if secret is None or not SECRET.fullmatch(secret):
        return None
    row = db.execute(
        "SELECT account_id FROM sessions WHERE session_hash = ? AND expires_at > ?", (_hash(secret), now)
    ).fetchone()
    return Session(secret, row[0]) if row else None


def end(db: sqlite3.Connection, secret: str) -> None:
    """End a session, if there is such a one."""
    db.execute("DELETE FROM sessions WHERE session_hash = ?", (_hash(secret),))


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
