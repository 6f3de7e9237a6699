"""A request as it comes in, and the one reading of it that is ever passed on. No socket in here.

What could be read in two ways is refused, never mended (RFC 9112 sections 2.2, 3.2, 5.1, 6; request smuggling is
two readings of the same bytes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from strangler.http.headers import HOP_BY_HOP, Fields, staying_behind

#: More fields than this are not a request but an attack or a mistake.
MAX_FIELDS: Final = 256

#: RFC 9110 section 7.2, RFC 3986 section 3.2: a host and perhaps a port, without a user.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(r"https?://([^/?]*)", re.IGNORECASE)
_KNOWN_HOSTS: set[bytes] = set()  # spares the usual ones the search


class Refused(Exception):
    """A request that goes no further. `status` is what its caller is told."""

    def __init__(self, status: int, detail: str, headers: bytes = b"") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class Inbound:
    """One request. The parser fills it in, `understand` reads its head, and from then on the head is fixed.

    `target` is in origin form (latin-1, byte for byte). `kept` are the end-to-end fields, in order and case.
    `chunks` is what has arrived of the body and went no further yet, `size` how long the body was so far.
    """

    # What most requests never change stands here, and costs nothing for each of them.
    size = 0
    complete = False
    understood = False
    refused: Refused | None = None
    upgrade: bytes | None = None  # the protocols asked for
    chunked = has_body = expects = wants_trailers = False
    old = False  # HTTP/1.0
    keep_alive = True
    method = target = client = ""
    host = url = b""
    chunks: list[bytes] | None = None
    trailers: Sequence[tuple[bytes, bytes]] = ()

    def __init__(self, client: str = "") -> None:
        self.client = client
        self.fields: Fields = []
        self.kept = self.fields
        self._index: dict[bytes, bytes] = {}
        self._joined: dict[bytes, list[bytes]] | None = None

    def understand(self, method: str, version: str, *, keep_alive: bool, upgrade: bool) -> None:
        """Read the head. Raises Refused when it has no single good reading."""
        self.method = method
        self.keep_alive = keep_alive
        if version != "1.1":
            if version != "1.0":
                raise Refused(505, f"HTTP/{version} is not spoken here.")
            self.old = True
        fields = self.fields
        if len(fields) > MAX_FIELDS:
            raise Refused(431, f"More than {MAX_FIELDS} header fields.")
        index = self._index
        for name, value in fields:
            lower = name.lower()
            if lower in index:
                self._repeated(lower, value)
            else:
                index[lower] = value
        self._set_target(method)
        if HOP_BY_HOP.isdisjoint(index):
            self.kept = self.fields
        else:
            self._look_at_connection(upgrade)
        if not self.has_body and (length := index.get(b"content-length")):
            self.has_body = length != b"0"
        if b"expect" in index:
            self._look_at_expect(index[b"expect"])
        self.understood = True

    def _repeated(self, lower: bytes, value: bytes) -> None:
        if lower == b"host":
            raise Refused(400, "A request has one Host.")
        if self._joined is None:
            self._joined = {}
        self._joined.setdefault(lower, [self._index[lower]]).append(value)

    def _set_target(self, method: str) -> None:
        """The target in origin form, and the authority (RFC 9112 section 3.2)."""
        if method == "CONNECT":
            raise Refused(405, "This is a reverse proxy: it opens no tunnels to others.", _ALLOW)
        target = self.url.decode("latin-1")
        host = self._index.get(b"host")
        if host is None:
            if not self.old:
                raise Refused(400, "A request needs a Host.")
            host = b""
        elif host not in _KNOWN_HOSTS:
            _check_host(host)
        if target[:1] != "/":
            if target == "*":
                if method != "OPTIONS":
                    raise Refused(400, "Only OPTIONS may be asked of `*`.")
            else:
                target, host = self._absolute(target)
        if "#" in target:
            raise Refused(400, "A request target has no fragment.")
        self.target = target
        self.host = host

    def _absolute(self, target: str) -> tuple[str, bytes]:
        """An absolute target overrules the Host (RFC 9112 section 3.2.2)."""
        found = _ABSOLUTE.match(target)
        if found is None:
            raise Refused(400, "The request target is neither a path nor a URL.")
        host = found[1].encode("latin-1")
        if not host:
            raise Refused(400, "The request target names no host.")
        _check_host(host)
        rest = target[found.end() :]
        self._index[b"host"] = host
        # The first field is the Host now, whatever it was; section 3.2 wants it first anyway.
        self.fields = [(b"Host", host), *((n, v) for n, v in self.fields if n.lower() != b"host")]
        return (rest if rest.startswith("/") else "/" + rest), host

    def _look_at_connection(self, upgrade: bool) -> None:
        """Fields for this connection only stay behind (RFC 9110 section 7.6.1); some of them say something."""
        index = self._index
        coding = index.get(b"transfer-encoding")
        if coding is not None:
            self._check_coding(coding)
        dropped = staying_behind(self.every(b"connection"))
        self.kept = [field for field in self.fields if field[0].lower() not in dropped]
        if b"te" in index and not self.old:
            self.wants_trailers = any(
                coding.split(b";")[0].strip().lower() == b"trailers"
                for line in self.every(b"te")
                for coding in line.split(b",")
            )
        if upgrade and not self.old and not self.chunked and index.get(b"content-length", b"0") == b"0":
            self.upgrade = b", ".join(self.every(b"upgrade"))

    def _check_coding(self, coding: bytes) -> None:
        # RFC 9112 section 6.1: HTTP/1.0 knows no codings, and one that we do not know is 501.
        if self.old:
            raise Refused(400, "Transfer-Encoding in HTTP/1.0 has no single reading.")
        if coding.lower() != b"chunked" or len(self.every(b"transfer-encoding")) > 1:
            raise Refused(501, "The only transfer coding spoken here is chunked.")
        self.chunked = self.has_body = True

    def _look_at_expect(self, value: bytes) -> None:
        self.expects = not self.old and value.lower() == b"100-continue"
        if self.old:  # RFC 9110 section 10.1.1: it must be ignored, so the upstream must not see it
            self.kept = [field for field in self.kept if field[0].lower() != b"expect"]

    def name_host(self, authority: bytes) -> None:
        """An HTTP/1.0 request without a Host: it meant the address that it came to (RFC 9112 section 3.3)."""
        self.host = authority
        self.kept = [(b"Host", authority), *self.kept]

    def check_size(self, limit: int) -> None:
        """Raises Refused when the head is longer than `limit` bytes."""
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.fields) > limit:
            raise Refused(431, f"The head of the request is longer than {limit} bytes.")

    def check_length(self, limit: int) -> None:
        """Raises Refused when the body is announced to be longer than `limit` bytes."""
        if int(self._index.get(b"content-length", b"0")) > limit:
            raise Refused(413, f"The body of the request is longer than {limit} bytes.")

    def keep(self, data: bytes) -> None:
        """Some bytes of the body, until somebody takes them."""
        if self.chunks is None:
            self.chunks = [data]
        else:
            self.chunks.append(data)
        self.size += len(data)

    def take(self) -> bytes:
        """The bytes of the body that were kept."""
        chunks, self.chunks = self.chunks, None
        if chunks is None:
            return b""
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def waiting(self) -> int:
        """How many bytes of the body are kept."""
        return sum(map(len, self.chunks)) if self.chunks else 0

    def every(self, lower: bytes) -> list[bytes]:
        """Every value of the field of that lower-case name, in order."""
        if self._joined is not None and lower in self._joined:
            return self._joined[lower]
        value = self._index.get(lower)
        return [] if value is None else [value]

    def first(self, lower: bytes) -> bytes | None:
        """The first value of the field of that lower-case name."""
        return self._index.get(lower)

    @property
    def names(self) -> Mapping[bytes, bytes]:
        """The fields by lower-case name, the first value of each."""
        return self._index

    def header(self, name: str) -> str | None:
        """What the router asks: the first value, or all lines of `x-forwarded-for`, which is a list."""
        value = self._index.get(name.encode())
        if value is None:
            return None
        if self._joined is not None and name == "x-forwarded-for":
            value = b",".join(self.every(b"x-forwarded-for"))
        value = value.strip(b" \t")
        return value.decode("ascii") if value.isascii() else value.decode("utf-8", "surrogateescape")


def _check_host(host: bytes) -> None:
    if not _HOST.fullmatch(host.strip(b" \t")):
        raise Refused(400, "The Host is not a host and perhaps a port.")
    if len(_KNOWN_HOSTS) < 1024:
        _KNOWN_HOSTS.add(host)


_ALLOW = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n"
