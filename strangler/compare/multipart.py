"""Multipart bodies (RFC 2046 section 5.1, RFC 7578) as values that are compared like JSON: part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from typing import Any, Final

from strangler.compare.coding import Broken
from strangler.compare.difference import Incomparable

_PARTS: Final = 1_000
_DEEPEST: Final = 3
#: Of the transfer, or of how it was cut into parts.
_NOT_COMPARED: Final = frozenset({"content-length", "content-transfer-encoding", "mime-version"})

#: The headers and the bytes of a part -> its value, or None when it is only bytes. May raise Incomparable.
DecodePart = Callable[[tuple[tuple[str, str], ...], bytes], Any]


def parsed_multipart(content_type: str, content: bytes, decode_part: DecodePart, most: int) -> Any:
    """Form data by the names of its fields; other kinds as `parts`. `most`: values in all parts together.

    Raises Broken, and Incomparable (`too_complex`).
    """
    # All parts together are no more than one document may be.
    if content.count(b"\n--") > _PARTS or sum(map(content.count, (b",", b"[", b"{", b"<"))) > most:
        raise Incomparable("too_complex")
    head = content_type.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
    try:
        message = BytesParser().parsebytes(b"Content-Type: " + head + b"\r\n\r\n" + content)
        return _value(message, decode_part, depth=0)
    except (Broken, Incomparable):
        raise
    except Exception as problem:  # the parser is not made for hostile input, and fails in many ways
        raise Broken from problem


def _value(message: Message, decode_part: DecodePart, depth: int) -> Any:
    if not message.is_multipart() or message.defects:
        raise Broken  # no boundary, or no end
    if depth >= _DEEPEST:
        raise Incomparable("too_complex")
    parts = [
        (part, _part(part, decode_part, depth)) for part in message.get_payload() if isinstance(part, Message)
    ]
    if message.get_content_subtype() != "form-data":
        return {"parts": [value for _, value in parts]}
    fields: dict[str, list[Any]] = {}
    for part, value in parts:
        name = part.get_param("name", "", "content-disposition")
        fields.setdefault(str(name), []).append(value)
    return fields


def _part(part: Message, decode_part: DecodePart, depth: int) -> dict[str, Any]:
    headers = tuple((str(name).lower(), str(value)) for name, value in part.items())
    shown = {name: value for name, value in headers if name not in _NOT_COMPARED}
    if part.is_multipart():
        shown["content-type"] = part.get_content_type()  # without the boundary
        return {"headers": shown, "body": _value(part, decode_part, depth + 1)}
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    value = decode_part(headers, content)
    return {"headers": shown, "body": _as_text(content) if value is None else value}


def _as_text(content: bytes) -> str:
    """Bytes of no known form: themselves while they can be text, else their size and hash."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"{len(content)} bytes, hash {hashlib.sha256(content).hexdigest()[:16]}"
