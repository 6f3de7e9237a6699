"""An answer's body, decoded far enough to be compared: content coding off, parsed where its form is known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, NoReturn
from urllib.parse import parse_qsl

import msgspec

from strangler.compare.coding import Broken, decoded
from strangler.compare.difference import Incomparable
from strangler.compare.headers import Headers, charset, header, is_json, media_type
from strangler.compare.markup import is_xml, parsed_html, parsed_xml
from strangler.compare.multipart import parsed_multipart

#: What a compressed body may grow to. More is a bomb, or nothing to compare in memory.
DECODED_LIMIT: Final = 8 * 1024 * 1024
#: How many values a document may hold, and how many visits one comparison may make.
NODE_LIMIT: Final = 200_000

#: What is taken for text is compared by lines up to this many; longer text as a whole.
LINE_LIMIT: Final = 20_000

Form = Literal["json", "json-lines", "form", "multipart", "xml", "html", "text", "bytes", "broken"]

#: Forms whose `value` is compared place by place.
PARSED: Final[frozenset[Form]] = frozenset({"json", "json-lines", "form", "multipart", "xml", "html", "text"})

#: No media type for one JSON text a line is registered; these are in use.
_JSON_LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
#: Python reads these too, but no text is sent in them, and they take the square of its length.
_NO_CHARSETS: Final = frozenset(
    {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "unicode-escape"}
)
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded body. `broken` is a body that is not what its headers promise: not JSON, or not gzip.

    `value` is the parsed JSON; of JSON lines a list; of a form each name with the list of its values; of XML, HTML and
    multipart what `markup` and `multipart` say; of text the list of its lines; and None otherwise. `content` is the
    body without its content coding (of a broken one: as it came).
    """

    form: Form
    content: bytes
    value: Any = None


def decode(headers: Headers, body: bytes) -> Document:
    """The document in a body.

    Raises Incomparable: `content_encoding` (a coding we cannot undo), `too_complex` (too many values, too
    deep, or too large when decompressed), `duplicate_key`, `number_range` (a number no double can hold).
    """
    coding, content_type, media, promised = _promises(tuple(headers))
    try:
        content = decoded(body, coding, DECODED_LIMIT) if coding else body
    except Broken:
        return Document("broken", body)
    if media and not promised:
        return _not_json(media, content_type, content)
    if not promised and content.lstrip()[:1] not in (b"{", b"["):
        return Document("bytes", content)
    try:
        return Document("json", content, _parsed(content))
    except Broken:
        return Document("broken" if promised else "bytes", content)


class _Promises(NamedTuple):
    """What the headers of an answer say of its body."""

    coding: str
    content_type: str
    media: str
    json: bool


@lru_cache(maxsize=4096)
def _promises(headers: tuple[tuple[str, str], ...]) -> _Promises:
    content_type = header(headers, "content-type")
    media = media_type(content_type)
    return _Promises(header(headers, "content-encoding"), content_type, media, is_json(media))


def readable(headers: Headers, body: bytes) -> bytes:
    """The body without its content coding, or as it came where that cannot be undone. Never raises."""
    try:
        return decoded(body, header(headers, "content-encoding"), DECODED_LIMIT)
    except (Broken, Incomparable):
        return body


def _not_json(media: str, content_type: str, content: bytes) -> Document:
    if media in _JSON_LINES:
        return _json_lines(content)
    if media == _FORM:
        return _form(content)
    named = charset(content_type)
    if media == "text/html" or is_xml(media) or media.startswith("multipart/"):
        return _structured(media, content_type, named, content)
    return _text(content, named or "utf-8") if media.startswith("text/") else Document("bytes", content)


def _structured(media: str, content_type: str, named: str, content: bytes) -> Document:
    if is_xml(media) and b"\0" in content:  # UTF-16, whose markup cannot be looked at before it is parsed
        return Document("bytes", content)
    try:
        if media.startswith("multipart/"):
            return Document("multipart", content, parsed_multipart(content_type, content, _part, NODE_LIMIT))
        if media == "text/html":
            return Document("html", content, parsed_html(content, named))
        return Document("xml", content, parsed_xml(content, named))
    except Broken:
        return Document("broken", content)


def _part(headers: tuple[tuple[str, str], ...], content: bytes) -> Any:
    found = decode(headers, content)
    return found.value if found.form in PARSED else None


def _json_lines(content: bytes) -> Document:
    if content.count(b"\n") >= NODE_LIMIT:
        raise Incomparable("too_complex")
    try:
        return Document(
            "json-lines", content, [_parsed(line) for line in content.split(b"\n") if line.strip()]
        )
    except Broken:
        return Document("broken", content)


def _form(content: bytes) -> Document:
    """URL Standard section 5.1: names and values are UTF-8 behind percent signs; a name may come again."""
    try:
        pairs = parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=LINE_LIMIT)
    except ValueError:  # not ASCII, or too many fields
        return Document("bytes", content)
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return Document("form", content, fields)


def _text(content: bytes, charset: str) -> Document:
    if content.count(b"\n") >= LINE_LIMIT:
        return Document("bytes", content)
    if charset in _NO_CHARSETS:
        return Document("bytes", content)
    try:
        # Python knows codecs that are no character sets (zip, rot13): those raise LookupError here.
        return Document("text", content, content.decode(charset).split("\n"))
    except (LookupError, ValueError):
        return Document("bytes", content)


def _parsed(content: bytes) -> Any:
    # Counted before parsing: a body of empty lists takes thirty times its size once parsed.
    if len(content) >= NODE_LIMIT and sum(map(content.count, (b",", b"[", b"{"))) >= NODE_LIMIT:
        raise Incomparable("too_complex")
    quick = _quickly_parsed(content)
    if quick is not None:
        return quick
    try:
        return _decoder.decode(content.decode("utf-8-sig"))
    except RecursionError:
        raise Incomparable("too_complex") from None
    except json.JSONDecodeError as problem:
        raise Broken from problem
    except UnicodeDecodeError as problem:
        raise Broken from problem
    except ValueError:  # an integer of more digits than Python reads
        raise Incomparable("number_range") from None


_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def _quickly_parsed(content: bytes) -> Any:
    """The value of plain, faultless JSON in a third of the time; None when a closer look is needed.

    This parser keeps the last of two members of one name and says nothing. But whatever is lost takes quotation
    marks with it: written out again, the value then has fewer of them. An escaped one would hide that.
    """
    if b"\\u0022" in content:
        return None
    try:
        value = _decode(content)
        whole = _encode(value).count(b'"') == content.count(b'"')
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return None
    return value if whole else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Incomparable("duplicate_key")
    return members


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Incomparable("number_range")
    return number


def _constant(_name: str) -> NoReturn:
    raise Broken  # NaN and Infinity are not JSON, whatever Python thinks


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
