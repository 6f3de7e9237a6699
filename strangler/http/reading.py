"""Bytes in, one answer out: what an upstream's bytes say. No socket in here.

httptools (llhttp) parses. What could be read in two ways, or is no HTTP at all, is an error and never an answer
(RFC 9112 sections 4, 6.1 and 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

import httptools
import msgspec

from strangler.http.errors import CutShort, Malformed, Stale, UpstreamError
from strangler.http.headers import Fields, sort_out

#: More than this much head, or trailers, is not an answer but an attack or a mistake.
MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 256
#: So many informational answers may come before the answer.
MAX_INTERIM: Final = 100

_VERSIONS = ("1.1", "1.0")
_REASONS = frozenset(status.phrase.encode() for status in HTTPStatus)  # spares the usual ones the search
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Head(msgspec.Struct, frozen=True):
    """The head of an answer. `kept` are its end-to-end fields; `length` is None unless one was announced."""

    status: int
    reason: bytes
    headers: Fields
    kept: Fields
    length: bytes | None
    chunked: bool


class AnswerReader:
    """The answer of one exchange, as far as it has arrived; then, after `expect`, that of the next one."""

    # An answer with one of these is the last on its connection: nobody sets them back.
    error: UpstreamError | None = None
    switched: bytes | None = None  # after a 101 that was asked for: the bytes behind it

    def __init__(self) -> None:
        self.on_informational: Callable[[Head], None] | None = None  # called with a 1xx answer
        self.trailers: Fields = []
        self.buffered = 0  # bytes of the body that nobody has read; none are left when an exchange is over
        self._chunks: list[bytes] = []
        self._packet = 0
        self._parser: Any = None
        self.expect()

    def expect(self, *, without_body: bool = False, upgrade: bool = False) -> None:
        """A new exchange begins. `without_body` says that its answer has none (HEAD), `upgrade` that a 101 may come."""
        self.head: Head | None = None
        self.complete = False  # the whole answer has arrived, read or not
        self.keep_alive = False
        self._fields: Fields = []
        self._reason = b""
        self._any_byte = False
        self._newest = False  # the answer begins with HTTP/1.1
        self._unparsed = 0
        self._interim = 0
        self._without_body = without_body
        self._upgrade = upgrade
        if self.trailers:
            self.trailers = []
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)

    def forget(self) -> None:
        """The exchange is over. An answer to HEAD leaves the parser waiting for a body that does not come."""
        if self._without_body:
            self._parser = None

    @property
    def has_unread(self) -> bool:
        """True when bytes of the body have arrived that nobody has read."""
        return bool(self._chunks)

    def take(self) -> bytes:
        """What has arrived of the body and was not read yet, perhaps nothing."""
        chunks = self._chunks
        if not chunks:
            return b""
        self._chunks = []
        self.buffered = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def feed(self, data: bytes) -> None:
        """Read some bytes. What is wrong with them stands in `error` afterwards."""
        if not self._any_byte:
            self._any_byte = True
            self._newest = data.startswith(b"HTTP/1.1 ")
        self._packet = len(data)
        before = self.buffered
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._switched(data[error.args[0] :])
        except httptools.HttpParserError as error:
            if self.complete:  # the answer is whole: what stands behind it is nobody's
                self.keep_alive = False
            else:
                self.fail(Malformed(str(error)))
        if self.buffered != before:
            self._unparsed = 0
        elif not self.complete:
            self._bound(len(data))

    def end(self) -> None:
        """The upstream has closed: a body without a length ends here (RFC 9112 section 6.3), all else is cut."""
        if self.complete or self.error is not None:
            return
        if self.head is not None and self.head.length is None and not self.head.chunked:
            self.complete = True
        elif not self._any_byte:
            self.error = Stale("closed before the first byte of an answer")
        else:
            self.error = CutShort("closed before the answer was complete")

    def cut(self) -> None:
        """The connection was reset: what has not arrived will not."""
        if not self.complete and self.error is None:
            kind = CutShort if self._any_byte else Stale
            self.error = kind("reset before the answer was complete")

    def fail(self, error: UpstreamError) -> None:
        """There will be no answer, or no more of it. The first reason counts."""
        if self.error is None:
            self.error = error

    def _bound(self, size: int) -> None:
        """Bytes that were neither head nor body yet: a head, or trailers, must end some day."""
        self._unparsed += size
        if self._unparsed > MAX_HEAD:
            self.fail(Malformed(f"the head is longer than {MAX_HEAD} bytes"))

    def _switched(self, rest: bytes) -> None:
        if self.head is not None and self.head.status == 101:
            self.complete = True
            self.switched = rest
        else:
            self.fail(Malformed("an answer in two protocols"))

    # -- what the parser calls -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A second answer on the same request is not an answer, unless the first was informational."""
        if self.complete:
            self.keep_alive = False

    def on_status(self, reason: bytes) -> None:
        """The reason phrase, perhaps in parts."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, or one trailer."""
        if self.head is not None:
            if not self.complete:
                self.trailers.append((name, value))
            return
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole; an informational one (1xx) is not the answer (RFC 9110 section 15.2)."""
        if self.complete or self.error is not None:
            return
        status = self._parser.get_status_code()
        fields = sort_out(self._fields)
        if problem := self._wrong(status, fields.codings):
            self.fail(Malformed(problem))
            return
        if 100 <= status < 200 and status != 101:
            return
        self._unparsed = 0
        # Asked here, while the parser still knows how the body is framed.
        self.keep_alive = self._parser.should_keep_alive()
        length = fields.lengths[0] if fields.lengths else None
        self.head = Head(status, self._reason, self._fields, fields.kept, length, bool(fields.codings))
        if self._without_body:
            self.complete = True

    def _wrong(self, status: int, codings: Sequence[bytes]) -> str | None:
        """What makes this no answer that we could pass on in the one reading that it has."""
        version = "1.1" if self._newest else self._parser.get_http_version()
        problem = None
        if status < 100:
            problem = f"a status of {status}"
        elif status == 101 and not self._upgrade:
            problem = "switched protocols without being asked"
        elif version not in _VERSIONS:
            problem = f"HTTP/{version}"
        elif self._reason not in _REASONS and _CONTROL.search(self._reason):
            problem = "control characters in the reason phrase"
        elif len(self._fields) > MAX_FIELDS or (self._packet > MAX_HEAD and _size(self._fields) > MAX_HEAD):
            problem = "too long a head"
        elif codings and (version == "1.0" or [coding.strip().lower() for coding in codings] != [b"chunked"]):
            # RFC 9112 section 6.1: nothing but chunked may be passed on undecoded, and 1.0 knows no codings.
            problem = "a transfer coding that it was not asked for"
        return problem

    def on_body(self, body: bytes) -> None:
        """Some bytes of the body."""
        if self.complete:
            self.keep_alive = False  # a body where none may be
            return
        self._chunks.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        """The answer, or an informational one before it, is whole."""
        if self.error is not None:
            return
        if self.head is not None:
            if self.head.status != 101:
                self.complete = True
            return
        status = self._parser.get_status_code()
        self._interim += 1
        if self._interim > MAX_INTERIM:
            self.fail(Malformed(f"more than {MAX_INTERIM} informational answers"))
        elif self.on_informational is not None and status != 101:
            kept = sort_out(self._fields).kept
            self.on_informational(Head(status, self._reason, self._fields, kept, None, False))
        self._fields = []
        self._reason = b""
        self._unparsed = 0
        self._newest = False


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)
