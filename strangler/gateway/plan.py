"""What goes on the wire, decided before anything is sent. Pure: bytes and values in, bytes and values out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from strangler.gateway.inbound import Inbound
from strangler.http import headers as fields
from strangler.http.reading import Head
from strangler.routes import Decision, edit_headers, target_for

#: Methods whose request may be sent a second time (RFC 9110 section 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_TRACE = frozenset({b"traceparent", b"tracestate"})

COOKIE_LIFE = 365 * 24 * 3600  # seconds; a caller keeps its side for a year


class Shared(msgspec.Struct, frozen=True):
    """The fields that either side is sent: the caller's end-to-end ones, then what we say of the caller."""

    caller: list[fields.Field]
    ours: tuple[fields.Field, ...]
    ours_lines: bytes

    @property
    def all(self) -> tuple[fields.Field, ...]:
        """Both, in their order."""
        return (*self.caller, *self.ours)


def shared_fields(inbound: Inbound, *, peer: bytes, scheme: bytes, believed: bool, begun: bytes) -> Shared:
    """What either side would be sent of a request's fields. `begun` is a traceparent of ours, or nothing."""
    caller, host, names = inbound.kept, inbound.host, inbound.names
    if begun and not _TRACE.isdisjoint(names):  # what stands there is no trace: drop it with its state
        caller = [field for field in caller if field[0].lower() not in _TRACE]
    if fields.FORWARDING.isdisjoint(names):
        ours = fields.origin(peer, host, scheme)
        ours_lines = fields.origin_lines(peer, host, scheme)
    else:
        caller = fields.forwarded(caller, peer=peer, host=host, scheme=scheme, believed=believed)
        ours, ours_lines = (), b""
    if begun:
        return Shared(caller, (*ours, (b"traceparent", begun)), ours_lines + b"traceparent: %b\r\n" % begun)
    return Shared(caller, ours, ours_lines)


def request_head(decision: Decision, inbound: Inbound, shared: Shared) -> bytes:
    """The head of the request to the side that was decided on."""
    route, target = decision.route, inbound.target
    if route is None or decision.side == "legacy":
        sent = fields.lines(shared.caller) + shared.ours_lines
    else:
        if route.rewrite is not None:
            target = target_for(route, decision.side, target, decision.parameters)
        edits = route.headers
        if edits.set or edits.remove:
            sent = fields.lines(edit_headers(edits, shared.all))
        else:
            sent = fields.lines(shared.caller) + shared.ours_lines
    head = f"{inbound.method} {target} HTTP/1.1\r\n".encode("latin-1") + sent
    if inbound.wants_trailers:
        head += b"TE: trailers\r\nConnection: TE\r\n"
    if inbound.upgrade is not None:
        head += b"Upgrade: %b\r\nConnection: Upgrade\r\n" % inbound.upgrade
    return head + (b"Transfer-Encoding: chunked\r\n\r\n" if inbound.chunked else b"\r\n")


class AnswerPlan(msgspec.Struct, frozen=True):
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
    kept = head.kept
    if status == 204 or head.chunked:
        kept = [field for field in kept if field[0].lower() != b"content-length"]
    sized = head.length is not None and not head.chunked
    chunked = not without_body and not sized and not http_1_0
    close = close or (not without_body and not sized and not chunked)
    if head.chunked and not chunked:  # no trailers go on, so none are announced
        kept = [field for field in kept if field[0].lower() != b"trailer"]
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


def informational(head: Head) -> bytes:
    """A 1xx answer as the caller gets it (RFC 9110 section 15.2)."""
    return b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason) + fields.lines(head.kept) + b"\r\n"


def switching(head: Head, asked: bytes) -> bytes | None:
    """A 101 as the caller gets it, or None when it is not what was asked for (RFC 9110 section 7.8)."""
    chosen = _options(value for name, value in head.headers if name.lower() == b"upgrade")
    if not chosen or not chosen <= _options([asked]):
        return None
    upgrade = b"".join(fields.lines([field]) for field in head.headers if field[0].lower() == b"upgrade")
    kept = fields.lines(head.kept)
    return b"HTTP/1.1 101 %b\r\n" % head.reason + kept + upgrade + b"Connection: Upgrade\r\n\r\n"


def _options(lists: Iterable[bytes]) -> set[bytes]:
    return {option.strip().lower() for text in lists for option in text.split(b",")} - {b""}


def _cookie(value: str, secure: bool) -> bytes:
    cookie = f"Set-Cookie: strangler_id={value}; Max-Age={COOKIE_LIFE}; Path=/; HttpOnly; SameSite=Lax"
    return (cookie + ("; Secure" if secure else "") + "\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 section 7.1). `data` is not empty: an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Iterable[fields.Field] = ()) -> bytes:
    """The end of a chunked body, with the trailers that may be passed on (RFC 9112 section 7.1.2)."""
    return b"0\r\n" + fields.trailer_section(trailers) + b"\r\n"


def problem(
    status: int,
    detail: str,
    *,
    close: bool,
    without_body: bool = False,
    extra: dict[str, str] | None = None,
    headers: bytes = b"",
) -> bytes:
    """A whole answer that says what went wrong, as `application/problem+json` (RFC 9457)."""
    title = HTTPStatus(status).phrase
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
    ).encode()
    if close:
        head += b"Connection: close\r\n"
    return head + headers + b"\r\n" + (b"" if without_body else body)
