"""What must not reach a disk: credentials, card numbers, e-mail addresses, and whatever a route names.

Each becomes a word for its kind and a keyed hash, `[email 3f9a41d0aa17]`: equal values stay equal and
different ones different, so a difference can still be read, but the value cannot. The key is not kept with
the evidence: card numbers are so few that a hash without a key can be undone by trying them all.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

import re2

from strangler.compare.difference import Incomparable
from strangler.compare.document import PARSED, Document, decode, readable
from strangler.compare.headers import Headers
from strangler.compare.machine import FREE, State
from strangler.compare.path import Trail, render, steps
from strangler.compare.rules import Rules
from strangler.compare.shown import LIMIT, preview, printable

#: Names whose values are secrets, wherever they stand: members, parameters, form fields, headers.
_NAMES: Final = (
    r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential|authorization"
    r"|cookie|session|signature|card[_-]?number|cvv|cvc|iban|\bpin\b|\bssn\b|\bjwt\b"
)
_SECRET_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
#: `name=value`, `name: value`, `"name": "value"` and `<name>value` in text that is not parsed. No quantifier is nested.
_NAMED: Final = re.compile(
    rf"""((?:{_NAMES})[\w.%\[\]-]{{0,40}}["']?[ ]?[=:>][ ]?["']?)((?:(?:bearer|basic|digest)[ ]+)?[^\s"'&;,<>\[]+)""",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(bearer|basic)[ ]+([\w.~+/=-]{8,})", re.IGNORECASE)  # RFC 6750 section 2.1
#: RFC 7519 section 3; and tokens that name themselves by a prefix.
_TOKEN: Final = re.compile(
    r"\beyJ[\w-]{6,}(?:\.[\w-]*){1,4}|\b(?:sk|pk|rk)_(?:live|test)_\w{8,}"
    r"|\bgh[a-z]_\w{16,}|\bxox[a-z]-[\w-]{8,}|\bAKIA[0-9A-Z]{12,}"
)
_EMAIL: Final = re.compile(r"[\w.!#$+~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
#: ISO/IEC 7812-1: 12 to 19 digits; those of payment cards begin with 2 to 6.
_CARD: Final = re.compile(r"(?<![\d.])[2-6](?:[ -]?\d){11,18}(?!\d)")
#: Whether a text may hold any of the above. Almost none does, and RE2 says so fifty times faster than `re`, which
#: is then not asked. `\\u00` is how JSON may write any character of them.
_SUSPECT: Final = re2.compile(
    "(?i)" + _NAMES.replace(r"\b", "") + r"|(?:bearer|basic) |eyj|[spr]k_|gh[a-z]_|xox|akia|@|%40|&#|\\u00"
    r"|[2-6](?:[ -]?[0-9]){11}"
)
#: What stands in the place of what was redacted.
MARK: Final = re.compile(r"\[(?:secret|token|email|card) [0-9a-f]{12}\]")
#: Longer text is cut before it is searched: none of it would be shown.
_SPARE: Final = 2048


#: Places of bodies that are remembered. Most differences are at places that differed before.
_PLACES: Final = 4_096
_SHORT: Final = 256  # characters; a longer path is looked up each time


class _Place(NamedTuple):
    """One place of a body: its path, the machine's state there, and whether what is there is a secret."""

    path: str
    state: State
    secret: bool


class Redactor:
    """Redacts under one key. `rules` are the route's own: what they cover is hashed whole."""

    def __init__(self, key: bytes, rules: Rules) -> None:
        self._key = hashlib.sha256(key).digest()
        self._headers = rules.headers.ignored
        self._state = rules.body
        self._places: dict[Trail, _Place] = {}

    def text(self, text: str) -> str:
        """A text with every secret in it replaced."""
        if not _is_suspect(text):
            return text
        text = _NAMED.sub(lambda found: found[1] + self._mark("secret", found[2]), text)
        text = _SCHEME.sub(lambda found: f"{found[1]} {self._mark('secret', found[2])}", text)
        text = _TOKEN.sub(lambda found: self._mark("token", found[0]), text)
        if "@" in text or "%40" in text:
            text = _EMAIL.sub(lambda found: self._mark("email", found[0].replace("%40", "@")), text)
        return _CARD.sub(self._card, text)

    def member(self, value: Any, trail: Trail) -> str:
        """A JSON value at its place in a body, as a person reads it: at most 200 characters."""
        return preview(self._at(value, trail))

    def header(self, name: str, value: str) -> str:
        """A header's value as a person reads it. `name` is lower case."""
        if value and (name in self._headers or (name != "set-cookie" and _SECRET_NAME.search(name))):
            return self._mark("secret", value)
        return printable(self.text(value[: LIMIT + _SPARE]))

    def digest(self, content: bytes) -> str:
        """A keyed hash of a whole body."""
        return hashlib.blake2s(content, key=self._key, digest_size=6).hexdigest()

    def body(self, headers: Headers, body: bytes, limit: int) -> str:
        """The first `limit` characters of a body, its content coding undone where we can. Never raises."""
        content = readable(headers, body)
        if b"\0" in content:
            return f"{len(content)} bytes that are not text"
        text = content[: limit + _SPARE].decode("utf-8", "replace")
        if self._state is FREE and not _is_suspect(text):
            return text[:limit]
        try:
            return self._searched(headers, body, content, text, limit)[:limit]
        except RecursionError:
            return f"{len(content)} bytes, nested too deep to be searched for secrets"

    def _searched(self, headers: Headers, body: bytes, content: bytes, text: str, limit: int) -> str:
        free = self._state is FREE
        try:
            document = decode(headers, body)
        except Incomparable:
            document = Document("broken", content)
        if document.form in PARSED and not (document.form == "text" and free):
            redacted = self._tree(document.value, self._state, _Budget(limit))
            if redacted != document.value:
                return json.dumps(redacted, ensure_ascii=False)
        elif not free and (document.form == "broken" or document.content.lstrip()[:1] in (b"{", b"[", b"<")):
            return f"{len(document.content)} bytes that cannot be read, where the route redacts by path"
        return self.text(text)

    def path(self, trail: Trail) -> str:
        """A path as a person reads it."""
        return self._place(trail).path

    def _place(self, trail: Trail) -> _Place:
        place = self._places.get(trail)
        if place is None:
            path = render(trail)
            place = self._looked_up(trail, path)
            if len(path) <= _SHORT:
                if len(self._places) >= _PLACES:  # bodies keyed by random ids would fill it for ever
                    self._places.clear()
                self._places[trail] = place
        return place

    def _looked_up(self, trail: Trail, path: str) -> _Place:
        state, secret = self._state, False
        for name in steps(trail):
            if state.ignored_by:
                break
            state = state.index if name is None else state.member(name)
            secret = secret or (name is not None and _is_secret(name))
        return _Place(self.text(path), state, secret or bool(state.ignored_by))

    def _at(self, value: Any, trail: Trail) -> Any:
        place = self._place(trail)
        return self._whole(value) if place.secret else self._tree(value, place.state, _Budget(LIMIT))

    def _tree(self, value: Any, state: State, budget: _Budget) -> Any:
        """The value with what must not be seen replaced; what is beyond the budget is left out."""
        if state.ignored_by:
            return self._whole(value)
        if isinstance(value, str):
            return self.text(value[: budget.limit + _SPARE])
        if isinstance(value, dict):
            return {
                self.text(name[: budget.limit]): self._whole(child)
                if _is_secret(name)
                else self._tree(child, state.member(name), budget)
                for name, child in value.items()
                if budget.spend()
            }
        if isinstance(value, list):
            return [self._tree(child, state.index, budget) for child in value if budget.spend()]
        if isinstance(value, int) and not isinstance(value, bool):
            text = self.text(str(value)) if 10**11 <= value < 10**19 else ""
            return text if text.startswith("[") else value
        return value

    def _whole(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return self._mark("secret", value if isinstance(value, str) else json.dumps(value, sort_keys=True))

    def _card(self, found: re.Match[str]) -> str:
        digits = [int(digit) for digit in found[0] if digit.isdigit()]
        return self._mark("card", "".join(map(str, digits))) if _luhn(digits) else found[0]

    def _mark(self, kind: str, value: str) -> str:
        return f"[{kind} {self.digest(value.encode('utf-8', 'surrogatepass'))}]"


class _Budget:
    """Every value that is visited takes a character of the text at least: more than `limit` is never shown."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit + 1

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _is_suspect(text: str) -> bool:
    try:
        return _SUSPECT.search(text) is not None
    except UnicodeEncodeError:  # a lone surrogate, which RE2 cannot read
        return True


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name[:200]) is not None


def _luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1 annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
