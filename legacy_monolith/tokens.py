"""Tokens: the shop's word on who is calling, which its services believe for five minutes. Pure.

    shop1.k2.7.1767225600.1767225900.PQ1xM…

That is: the version, the key that signed, the account, when it was issued and when it is over (seconds since 1970,
UTC), and the HMAC-SHA-256 (RFC 2104) of everything before the last dot, in base64url without padding (RFC 4648
section 5). The version stands for the whole construction: a token says nothing of algorithms, so nobody can talk
a reader into another one. `extracted/*` have readers of their own; tests/cases/tokens.json holds them all equal.

The shop has a token too, for what only the shop itself may ask: it says `shop` in the place of the account, so it is
nobody's login, and no login is one.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VERSION = "shop1"
LIFE = 300  # seconds that a token is good for; none is ever good for longer
SKEW = 30  # seconds by which clocks of two machines may differ
SHOP: Literal["shop"] = "shop"  # in the place of the account
LONGEST = 160  # characters
MAX_ACCOUNT = 2**63 - 1

_FORM = re.compile(
    rf"{VERSION}\.(?P<key>[a-z0-9]{{1,16}})\.(?P<bearer>{SHOP}|[1-9][0-9]{{0,18}})"
    r"\.(?P<issued>[1-9][0-9]{0,11})\.(?P<expires>[1-9][0-9]{0,11})\.(?P<signature>[A-Za-z0-9_-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes. `until` is when the last token that it signed is over; None: it signs still."""

    secret: bytes
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that are good for something, by id, and the one that signs."""

    current: str
    each: Mapping[str, Key]


@dataclass(frozen=True, slots=True)
class Claims:
    """What the token of an account says. Times are seconds since 1970."""

    account_id: int
    issued: int
    expires: int


def issue(keys: Keys, bearer: int | Literal["shop"], now: int) -> str:
    """Sign a token for an account, or for the shop itself, good from `now` for LIFE seconds."""
    said = f"{VERSION}.{keys.current}.{bearer}.{now}.{now + LIFE}"
    return f"{said}.{_signature(keys.each[keys.current].secret, said)}"


def read(keys: Keys, token: str, now: int) -> Claims | None:
    """Read the token of an account. None when it is not ours, not whole, not of this time, or no account's.

    A caller is never told which.
    """
    said = _said(keys, token, now)
    if said is None or said["bearer"] == SHOP or int(said["bearer"]) > MAX_ACCOUNT:
        return None
    return Claims(int(said["bearer"]), int(said["issued"]), int(said["expires"]))


def is_of_shop(keys: Keys, token: str, now: int) -> bool:
    """Say whether a token is the shop's own."""
    said = _said(keys, token, now)
    return said is not None and said["bearer"] == SHOP


def _said(keys: Keys, token: str, now: int) -> re.Match[str] | None:
    """The parts of a token that is to be believed now."""
    found = _FORM.fullmatch(token) if len(token) <= LONGEST else None
    key = keys.each.get(found["key"]) if found else None
    if found is None or key is None:
        return None
    expected = _signature(key.secret, token.rpartition(".")[0])
    # As texts, for base64 has several spellings of the same bytes, and only one of them is ours.
    if not hmac.compare_digest(expected, found["signature"]):
        return None
    issued, expires = int(found["issued"]), int(found["expires"])
    if not 0 < expires - issued <= LIFE or (key.until is not None and now >= key.until):
        return None
    return found if issued - SKEW <= now < expires + SKEW else None


def _signature(secret: bytes, said: str) -> str:
    return urlsafe_b64encode(hmac.digest(secret, said.encode(), "sha256")).rstrip(b"=").decode()
