"""Passwords: kept as scrypt hashes (RFC 7914), one for each account that can log in.

    scrypt$16384$8$5$<salt>$<hash>

N, r and p stand in the hash, so that they can be raised for new passwords while old ones go on. The last two are
base64 (RFC 4648 section 4).
"""

import hmac
import sqlite3
import unicodedata
from base64 import b64decode, b64encode
from hashlib import scrypt

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS passwords (
        account_id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL
    )""",
)

LONGEST = 256  # characters; what is longer is no password of ours
#: One of the settings that OWASP's Password Storage Cheat Sheet calls equal: 16 MiB, a fifth of a second.
_N, _R, _P = 2**14, 8, 5
_MEMORY = 64 * 1024 * 1024  # bytes; OpenSSL's own limit is too low for N above
#: Checked when there is no such account, so that the answer takes as long as for one that there is.
NOBODY = f"scrypt${_N}${_R}${_P}${b64encode(bytes(16)).decode()}${b64encode(bytes(32)).decode()}"


def hashed(password: str, salt: bytes) -> str:
    """Hash a password for keeping; `salt` is 16 random bytes."""
    made = _derive(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(made).decode()}"


def matches(password: str, kept: str) -> bool:
    """Say whether a password is the one of a hash. Takes as long as it is meant to: not for the loop's thread."""
    _, n, r, p, salt, expected = kept.split("$")
    made = _derive(password, b64decode(salt), int(n), int(r), int(p))
    # HMAC, which scrypt is made of, fills keys up with NULs: with one at its end a password would be the same.
    return hmac.compare_digest(made, b64decode(expected)) and "\0" not in password


def of(db: sqlite3.Connection, account_id: int) -> str | None:
    """Give the hash of an account's password; None when nobody can log in to it."""
    row = db.execute("SELECT hash FROM passwords WHERE account_id = ?", (account_id,)).fetchone()
    return row[0] if row else None


def keep(db: sqlite3.Connection, account_id: int, kept: str) -> None:
    """Set the password of an account, by its hash."""
    db.execute("INSERT OR REPLACE INTO passwords (account_id, hash) VALUES (?, ?)", (account_id, kept))


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # The same letters may be typed as one code point or as two.
    text = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
