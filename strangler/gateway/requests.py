"""Bytes in, requests out: what one connection's bytes say, in order. No socket in here.

httptools (llhttp) parses. What has no single good reading becomes a refused request in its place in the order, and
nothing behind it is read.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import httptools

from strangler.gateway.inbound import MAX_FIELDS, Inbound, Refused
from strangler.routes import Limits


class Limited(Protocol):
    """Where the limits in force are found."""

    @property
    def limits(self) -> Limits:
        """The limits in force."""


class _Methods(dict[bytes, str]):
    """The methods that llhttp knows, as text."""

    def __missing__(self, method: bytes) -> str:
        text = self[method] = method.decode("ascii")
        return text


_METHODS = _Methods()


class Requests:
    """The requests of one connection.

    `queue` are those that nobody has begun to answer. When `deaf` is true nothing more is read. `tail` is what
    stands behind a request to switch protocols, as long as that is open.
    """

    def __init__(self, handler: Limited, client: str) -> None:
        self.queue: deque[Inbound] = deque()
        self.incoming: Inbound | None = None  # what the parser is at
        self.deaf = False
        self.tail: bytearray | None = None
        self.begun = 0  # requests whose first byte has arrived
        self._handler = handler
        self._client = client
        self._parser: Any = httptools.HttpRequestParser(self)
        self._unmasked: bytes | None = None
        self._again = False  # a head is being read that was read before
        self._last = False  # the request that was read last closes the connection
        self._packet = self._seen = self._skipped = 0  # sizes, see `_bound`

    def feed(self, data: bytes) -> None:
        """Read some bytes."""
        if self.deaf:
            return
        if self.tail is not None:
            self.tail += data
            return
        if self.incoming is None and not data.isascii():
            data = self._mask(data)
        self._packet = len(data)
        self._seen = -1 if self.incoming is None else self.incoming.size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            rest = data[error.args[0] :]
            if self.incoming is not None:
                self._read_body(self.incoming, rest)
            else:
                self.tail = bytearray(rest)
        except httptools.HttpParserError as error:
            self._malformed(error, data)
        if self.incoming is not None and not self.deaf:
            self._bound(self.incoming, len(data))

    def go_on(self) -> None:
        """The other protocol was not spoken: what came behind the request for it is HTTP after all."""
        self._parser = httptools.HttpRequestParser(self)
        tail, self.tail = bytes(self.tail or b""), None
        if tail:
            self.feed(tail)

    def _read_body(self, incoming: Inbound, rest: bytes) -> None:
        """llhttp takes a request to switch protocols for one without a body. One with a body is not switched
        (RFC 9110 section 7.8 lets a server ignore the wish), and what follows is its body."""
        length = incoming.first(b"content-length")
        framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: " + length
        self._parser = httptools.HttpRequestParser(self)
        self._again = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._again = False
        if rest:
            self.feed(rest)

    def give_up(self, refused: Refused) -> None:
        """The request at hand, and everything behind it, will not be read."""
        self.deaf = True
        incoming, self.incoming = self.incoming, None
        if incoming is None:
            return
        if incoming.refused is None:
            incoming.refused = refused
            if not incoming.understood:  # a whole head is in the queue already, or being answered
                self.queue.append(incoming)

    def _mask(self, data: bytes) -> bytes:
        """Old callers send targets with bytes beyond ASCII, which llhttp refuses: show it a stand-in.

        The target goes on as it came. Only a request line that is whole in one packet is helped.
        """
        start = len(data) - len(data.lstrip(b"\r\n"))
        end = data.find(b"\r\n", start)
        line = data[start:end] if end >= 0 else b""
        if line.isascii():
            return data
        parts = line.split(b" ")
        if len(parts) != 3 or not parts[0].isascii() or not parts[2].isascii():
            return data
        self._unmasked = parts[1]
        stand_in = bytes(byte if byte < 0x80 else 0x78 for byte in parts[1])
        return data[:start] + b" ".join((parts[0], stand_in, parts[2])) + data[end:]

    def _bound(self, incoming: Inbound, size: int) -> None:
        """Bytes that are no body (a head, trailers, chunk extensions) must end some day."""
        if self._seen != incoming.size or self._skipped < 0:  # it went on, or only began in this packet
            self._skipped = 0
            return
        self._skipped += size
        limit = self._handler.limits.head
        if self._skipped > limit:
            self.give_up(_too_long(incoming, limit))

    def _malformed(self, error: Exception, data: bytes) -> None:
        if self.incoming is None:
            if self._last:  # bytes behind a request that said `Connection: close`
                self.deaf = True
                return
            self.incoming = Inbound(self._client)
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            token = data.lstrip(b"\r\n").split(b" ", 1)[0]
            # RFC 9110 section 9.1: 501 for a method that nobody here knows. Anything else is no request.
            if b" " in data and token.isalpha() and token.isupper() and len(token) <= 32:
                self.give_up(Refused(501, "The method is not one that this proxy knows."))
                return
        reason = " ".join(str(error).split())[:200]
        self.give_up(Refused(400, f"The request could not be understood: {reason}."))

    # -- what the parser calls -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._again:
            return
        self.incoming = Inbound(self._client)
        self._skipped = -1
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        """The request target, perhaps in parts."""
        if self.incoming is not None and not self._again:
            self.incoming.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, or one trailer."""
        incoming = self.incoming
        if incoming is None or self._again:
            return
        if not incoming.understood:
            incoming.fields.append((name, value))
        elif incoming.refused is None and len(incoming.trailers) < MAX_FIELDS:
            incoming.trailers = [*incoming.trailers, (name, value)]

    def on_headers_complete(self) -> None:
        """The head is whole: it is read now, and answered in its turn."""
        incoming, parser = self.incoming, self._parser
        if incoming is None or self._again:
            return
        if self._unmasked is not None:
            incoming.url, self._unmasked = self._unmasked, None
        limits = self._handler.limits
        try:
            if len(incoming.url) > limits.head:
                raise _too_long(incoming, limits.head)
            incoming.understand(
                _METHODS[parser.get_method()],
                parser.get_http_version(),
                keep_alive=parser.should_keep_alive(),
                upgrade=parser.should_upgrade(),
            )
            if self._skipped > 0 or self._packet > limits.head:
                incoming.check_size(limits.head)
            if incoming.has_body and limits.body is not None:
                incoming.check_length(limits.body)
        except Refused as refused:
            incoming.refused = refused
            self.deaf = True
        self._last = not incoming.keep_alive
        self.queue.append(incoming)

    def on_body(self, body: bytes) -> None:
        """Some bytes of the body."""
        incoming = self.incoming
        if incoming is None or incoming.refused is not None:
            return
        incoming.keep(body)
        most = self._handler.limits.body
        if most is not None and incoming.size > most:
            incoming.take()
            self.give_up(Refused(413, f"The body of the request is longer than {most} bytes."))

    def on_message_complete(self) -> None:
        """The request is whole."""
        incoming = self.incoming
        if incoming is not None and not (incoming.has_body and self._parser.should_upgrade()):
            incoming.complete = True
            self.incoming = None


def _too_long(incoming: Inbound, limit: int) -> Refused:
    if len(incoming.url) > limit:
        return Refused(414, f"The request line is longer than {limit} bytes.")
    return Refused(431, f"The head of the request is longer than {limit} bytes.")
