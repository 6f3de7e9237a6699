"""The file of the keys that sign tokens: read anew whenever it changes, and rotated.

    {"current": "k2", "keys": {"k1": {"secret": "5f1c…", "until": 1767226230}, "k2": {"secret": "09ab…"}}}

A secret is 64 hexadecimal digits. A key with `until` signs no more, and is believed until that time (seconds since
1970). The file is for the shop and its services alone, so its mode is 0600.
"""

import fcntl
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from legacy_monolith.errors import UnusableKeys
from legacy_monolith.tokens import LIFE, SHOP, SKEW, Key, Keys, issue

MOST_KEYS = 16
MOST_BYTES = 16 * 1024

_log = logging.getLogger(__name__)


def parse(text: str) -> Keys:
    """Read the text of the file. Raises UnusableKeys, saying what is wrong and never what the secret is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableKeys("it is not JSON") from error
    if not isinstance(data, dict) or data.keys() != {"current", "keys"}:
        raise UnusableKeys('it is not an object of "current" and "keys"')
    current, listed = data["current"], data["keys"]
    if not isinstance(listed, dict) or not 1 <= len(listed) <= MOST_KEYS:
        raise UnusableKeys(f'"keys" is not an object of 1 to {MOST_KEYS} keys')
    each = {name: _key(name, value) for name, value in listed.items()}
    if not isinstance(current, str) or current not in each or each[current].until is not None:
        raise UnusableKeys('"current" is not the id of a key without "until"')
    return Keys(current, each)


def rotated(keys: Keys | None, secret: bytes, now: int, *, at_once: bool = False) -> Keys:
    """Put a new key in the place of the current one, and forget those whose tokens are over.

    The last key is believed until its tokens are over, or not at all any more when it is replaced `at_once`.
    """
    if keys is None:
        return Keys("k1", {"k1": Key(secret)})
    numbers = [int(name[1:]) for name in keys.each if name[:1] == "k" and name[1:].isdecimal()]
    name = f"k{max(numbers, default=0) + 1}"
    kept = (
        {}
        if at_once
        else {old: key for old, key in keys.each.items() if key.until is None or key.until > now}
    )
    retired = {old: Key(key.secret, key.until or now + LIFE + SKEW) for old, key in kept.items()}
    # The oldest go first where somebody rotates faster than tokens end; without tokens nobody notices.
    newest = sorted(retired.items(), key=lambda item: item[1].until or 0)[-(MOST_KEYS - 1) :]
    return Keys(name, dict(newest) | {name: Key(secret)})


def rotate(path: Path, now: int, *, at_once: bool = False) -> Keys:
    """Rotate the keys of a file, which is made when there is none. Raises UnusableKeys."""
    try:
        with _alone(path):
            keys = load(path) if path.exists() else None
            new = rotated(keys, secrets.token_bytes(32), now, at_once=at_once)
            _write(path, _text(new))
    except OSError as error:
        raise UnusableKeys(f"cannot write the keys {path}: {error.strerror or error}") from error
    return new


def load(path: Path) -> Keys:
    """Read the file. Raises UnusableKeys, also when others than its owner may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnusableKeys(f"cannot read the keys {path}: {error.strerror or error}") from error
    if mode & 0o077:
        raise UnusableKeys(f"cannot use the keys {path}: others may read them, so say chmod 600 {path}")
    try:
        return parse(content.decode())
    except UnicodeDecodeError as error:
        raise UnusableKeys(f"cannot use the keys {path}: it is not JSON") from error
    except UnusableKeys as error:
        raise UnusableKeys(f"cannot use the keys {path}: {error}") from error


class KeyFile:
    """The keys in force: those of the file, and while it is spoilt, those that it last held."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UnusableKeys."""
        self._path = path
        self._seen = _look(path)
        self._keys = load(path)

    def __call__(self) -> Keys:
        """Give the keys in force now; a look at the file costs a microsecond."""
        seen = _look(self._path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = load(self._path)
            except UnusableKeys as error:
                _log.error("%s; the keys of before stay in force", error)
        return self._keys


KeySource = Callable[[], Keys]


def own_token(keys: KeySource | None) -> dict[str, str]:
    """Give the header field that opens the doors which are for the shop itself; without keys there is none.

    It is good for five minutes (`tokens.LIFE`), so it is made anew for each attempt.
    """
    return {} if keys is None else {"Authorization": f"Bearer {issue(keys(), SHOP, int(time.time()))}"}


def _key(name: str, value: Any) -> Key:
    if not (1 <= len(name) <= 16 and name.isascii() and name.isalnum() and name == name.lower()):
        raise UnusableKeys("the id of a key is not 1 to 16 small letters and digits")
    if not isinstance(value, dict) or not {"secret"} <= value.keys() <= {"secret", "until"}:
        raise UnusableKeys(f'key {name} is not an object of "secret" and perhaps "until"')
    secret, until = value["secret"], value.get("until")
    if not isinstance(secret, str) or len(secret) != 64 or not set(secret) <= set("0123456789abcdef"):
        raise UnusableKeys(f"the secret of key {name} is not 64 hexadecimal digits")
    if "until" in value and (type(until) is not int or not 0 < until < 10**12):
        raise UnusableKeys(f'"until" of key {name} is not a time in seconds')
    return Key(bytes.fromhex(secret), until)


def _text(keys: Keys) -> str:
    each = {
        name: {"secret": key.secret.hex()} | ({} if key.until is None else {"until": key.until})
        for name, key in keys.each.items()
    }
    return json.dumps({"current": keys.current, "keys": each}, indent=2) + "\n"


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the folder, so that of two rotations the second one begins where the first has ended."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, text: str) -> None:
    """Put the text in the place of the file: a reader has the old one or the new one, whole."""
    temporary = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()  # of a rotation that was killed
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
