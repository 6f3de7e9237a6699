"""What goes on the wire, decided before anything is sent. Pure: bytes and values in, bytes and values out."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from strangler.http import headers as fields
from strangler.http.connection import Head
from strangler.routes import Decision, edit_headers, target_for

#: Methods whose request may be sent a second time (RFC 9110 section 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

COOKIE_LIFE = 365 * 24 * 3600  # seconds; a caller keeps its side for a year


class BadTarget(ValueError):
    """A request target that this proxy does not serve."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A request target in origin form, and the authority it names."""

    target: str
    host: bytes | None  # only when the target was absolute: it then overrules the Host field


def origin_form(target: str) -> Origin:
    """The target as an origin server sees it (RFC 9112 section 3.2), as latin-1. Raises BadTarget."""
    if not target.isascii():  # aiohttp decodes as UTF-8 with surrogateescape (PEP 383); we want the bytes
        target = target.encode("utf-8", "surrogateescape").decode("latin-1")
    if target[:1] == "/":
        return Origin(target, None)
    if target == "*":
        return Origin(target, None)
    if not target.lower().startswith(("http://", "https://")):
        raise BadTarget("this is a reverse proxy: the target must be a path")
    parts = urlsplit(target)
    rest = target.split("//", 1)[1]
    at = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
    path = rest[at:]
    return Origin(path if path.startswith("/") else "/" + path, parts.netloc.encode("latin-1"))


def shared_headers(
    raw: tuple[tuple[bytes, bytes], ...], *, peer: str, origin: Origin, scheme: bytes, believed: bool
) -> list[tuple[bytes, bytes]]:
    """The fields that either side would be sent: end-to-end ones, and the forwarding ones."""
    kept = fields.end_to_end(raw)
    host = origin.host
    if host is None:
        host = fields.first(kept, b"host") or b""
    else:
        kept = [(b"Host", host), *(field for field in kept if field[0].lower() != b"host")]
    return fields.forwarded(kept, peer=peer.encode(), host=host, scheme=scheme, believed=believed)


def request_head(
    decision: Decision, method: str, target: str, shared: list[tuple[bytes, bytes]], *, chunked: bool
) -> bytes:
    """The head of the request to the side that was decided on."""
    route = decision.route
    sent = shared
    if route is not None and decision.side == "extracted":
        target = target_for(route, decision.side, target, decision.parameters)
        if route.headers.set or route.headers.remove:
            sent = list(edit_headers(route.headers, tuple(shared)))
    head = f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + fields.lines(sent)
    return head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """The head of the answer to the caller, and how its body is delimited."""

    head: bytes
    chunked: bool
    close: bool
    without_body: bool


def answer_plan(
    head: Head, *, method: str, http_1_0: bool, close: bool, minted: str | None, secure: bool = False
) -> AnswerPlan:
    """The answer's head as the caller gets it (RFC 9112 section 6): the upstream's fields, our framing."""
    status = head.status
    without_body = method == "HEAD" or status in (204, 304)
    kept = fields.end_to_end(head.headers)
    if status == 204 or head.chunked:
        kept = [field for field in kept if field[0].lower() != b"content-length"]
    sized = head.length is not None and not head.chunked
    chunked = not without_body and not sized and not http_1_0
    close = close or (not without_body and not sized and not chunked)
    out = b"HTTP/1.1 %d %b\r\n" % (status, head.reason) + fields.lines(kept)
    if minted is not None:
        out += _cookie(minted, secure)
    if chunked:
        out += b"Transfer-Encoding: chunked\r\n"
    if close:
        out += b"Connection: close\r\n"
    elif http_1_0:
        out += b"Connection: keep-alive\r\n"
    return AnswerPlan(out + b"\r\n", chunked, close, without_body)


def _cookie(value: str, secure: bool) -> bytes:
    cookie = f"Set-Cookie: strangler_id={value}; Max-Age={COOKIE_LIFE}; Path=/; HttpOnly; SameSite=Lax"
    return (cookie + ("; Secure" if secure else "") + "\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 section 7.1). `data` is not empty: an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
