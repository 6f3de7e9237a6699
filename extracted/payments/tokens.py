"""Reading the monolith's tokens: who is calling, on the word of whoever holds the keys.

    shop1.k2.7.1767225600.1767225900.PQ1xM…

Version, key, account, issued, expires, and the HMAC-SHA-256 of all before the last dot. This reader is the service's
own; tests/cases/tokens.json says what every reader of the shop's tokens must answer. The keys are in a file that the
monolith rotates, and that is read anew whenever it changes.

With `shop` in the place of the account it is the shop's own token, which opens the doors that are no customer's. The
monolith shows one with every call. So does the relay of this service with what it delivers: it has the keys anyhow.
"""

import hmac
import json
import logging
import os
import re
import stat
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIFE = 300  # seconds; a token that claims to be good for longer is none
SKEW = 30  # seconds by which the monolith's clock may differ from ours
LONGEST = 160  # characters
MOST_BYTES = 16 * 1024  # of the file
SHOP = "shop"  # in the place of the account

_FORM = re.compile(
    r"shop1\.(?P<key>[a-z0-9]{1,16})\.(?P<bearer>shop|[1-9][0-9]{0,18})"
    r"\.(?P<issued>[1-9][0-9]{0,11})\.(?P<expires>[1-9][0-9]{0,11})\.(?P<signature>[A-Za-z0-9_-]{43})",
    re.ASCII,
)
_KEY_ID = re.compile(r"[a-z0-9]{1,16}", re.ASCII)
_SECRET = re.compile(r"[0-9a-f]{64}", re.ASCII)

_log = logging.getLogger(__name__)


class UnusableKeys(Exception):
    """The file of keys cannot be used; the text is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Key:
    """A secret, and the time (seconds since 1970) until which its tokens are believed; None: it signs still."""

    secret: bytes
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of the file by id, and the id of the one that signs."""

    current: str
    each: Mapping[str, Key]


KeySource = Callable[[], Keys]


@dataclass(frozen=True, slots=True)
class Claims:
    """What the token of an account says. `expires` is in seconds since 1970."""

    account_id: int
    expires: int


def read(keys: Keys, token: str, now: int) -> Claims | None:
    """Read the token of an account; None when it is none, not the monolith's, not whole, or not of this time."""
    found = _believed(keys, token, now)
    if found is None or found["bearer"] == SHOP or int(found["bearer"]) >= 2**63:
        return None
    return Claims(int(found["bearer"]), int(found["expires"]))


def is_of_shop(keys: Keys, token: str, now: int) -> bool:
    """Say whether a token is the shop's own."""
    found = _believed(keys, token, now)
    return found is not None and found["bearer"] == SHOP


def own_token(keys: KeySource | None) -> dict[str, str]:
    """Give the header field that opens the doors of others to the shop's own parts; without keys there is none."""
    if keys is None:
        return {}
    held, now = keys(), int(time.time())
    said = f"shop1.{held.current}.{SHOP}.{now}.{now + LIFE}"
    return {"Authorization": f"Bearer {said}.{_signature(held.each[held.current], said)}"}


def _believed(keys: Keys, token: str, now: int) -> re.Match[str] | None:
    found = _FORM.fullmatch(token) if len(token) <= LONGEST else None
    key = keys.each.get(found["key"]) if found else None
    if found is None or key is None or (key.until is not None and now >= key.until):
        return None
    if not hmac.compare_digest(_signature(key, token.rpartition(".")[0]), found["signature"]):
        return None
    issued, expires = int(found["issued"]), int(found["expires"])
    timely = 0 < expires - issued <= LIFE and issued - SKEW <= now < expires + SKEW
    return found if timely else None


def _signature(key: Key, said: str) -> str:
    return urlsafe_b64encode(hmac.digest(key.secret, said.encode(), "sha256")).rstrip(b"=").decode()


def parse_keys(text: str) -> Keys:
    """Read the text of the file of keys. Raises UnusableKeys."""
    try:
        data = json.loads(text)
        if data.keys() != {"current", "keys"} or not 1 <= len(data["keys"]) <= 16:
            raise ValueError
        keys = {name: _key(name, value) for name, value in data["keys"].items()}
        current = data["current"]
        if keys[current].until is not None:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnusableKeys("it does not hold the keys of the shop") from error
    return Keys(current, keys)


class KeyFile:
    """The keys in force: those of the file, and while it is spoilt, those that it last held."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UnusableKeys, also when others than its owner may read it."""
        self._path = path
        self._seen = self._look()
        self._keys = self._load()

    def __call__(self) -> Keys:
        """Give the keys in force now; a look at the file costs a microsecond."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = self._load()
            except UnusableKeys as error:
                _log.error("%s; the keys of before stay in force", error)
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self) -> Keys:
        path = self._path
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UnusableKeys(f"cannot read the keys {path}: {error.strerror or error}") from error
        if mode & 0o077:
            raise UnusableKeys(f"cannot use the keys {path}: others may read them, so say chmod 600 {path}")
        try:
            return parse_keys(content.decode("utf-8", "replace"))
        except UnusableKeys as error:
            raise UnusableKeys(f"cannot use the keys {path}: {error}") from error


def _key(name: str, value: Mapping[str, Any]) -> Key:
    secret, until = value["secret"], value.get("until")
    if (
        not value.keys() <= {"secret", "until"}
        or not _KEY_ID.fullmatch(name)
        or not _SECRET.fullmatch(secret)
    ):
        raise ValueError
    if "until" in value and (type(until) is not int or not 0 < until < 10**12):
        raise ValueError
    return Key(bytes.fromhex(secret), until)
