"""Path patterns: `/payments/{payment_id:[0-9]+}/**` as segments, and the segments of a path that came in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_to_bytes

from strangler.routes.model import PathPattern, Segment
from strangler.routes.regex import compile_regex

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OUT_OF_PLACE = re.compile(r"[\s?#\x00-\x1f\x7f]")
_LONGEST_REGEX = 1000
#: The matcher descends one call for each segment.
_MOST_SEGMENTS = 64
#: RFC 3986 section 3.3 without what a URL writer would have to percent-encode.
_REWRITE = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

#: The key in a claim's parameters that holds what `/**` stands for.
REST = "**"


def decode_segment(raw: str) -> str:
    """A segment without its percent-encoding (RFC 3986 section 2.1). Bytes that are not UTF-8 become U+FFFD."""
    if "%" not in raw and raw.isascii():
        return raw
    try:
        wire = raw.encode("latin-1")
    except UnicodeEncodeError:
        wire = raw.encode("utf-8", "surrogateescape")
    return unquote_to_bytes(wire).decode("utf-8", "replace")


def parse_path(text: str) -> PathPattern:
    """The pattern that a text stands for. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError("a path begins with /")
    written = list(_split(text[1:]))
    if len(written) > _MOST_SEGMENTS:
        raise ValueError(f"a path has {_MOST_SEGMENTS} segments at most")
    rest = written[-1] == REST
    segments = tuple(_segment(part) for part in (written[:-1] if rest else written))
    names = [segment.parameter for segment in segments if segment.parameter]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the parameter {{{name}}} stands here twice")
    if any(segment.literal == "" for segment in (segments if rest else segments[:-1])):
        raise ValueError("an empty segment (//) stands in the path")
    return PathPattern(text, segments, rest)


def _split(text: str) -> Iterator[str]:
    """Cut at every / that does not stand inside {…}. Within a regex, \\ and […] hide braces."""
    start = depth = at = 0
    bracket = False
    while at < len(text):
        character = text[at]
        if depth and character == "\\":
            at += 1
        elif depth and character in "[]":
            bracket = character == "["
        elif character == "{" and not bracket:
            depth += 1
        elif character == "}" and depth and not bracket:
            depth -= 1
        elif character == "/" and not depth:
            yield text[start:at]
            start = at + 1
        at += 1
    if depth:
        raise ValueError("a { is never closed")
    yield text[start:]


def _segment(text: str) -> Segment:
    if not text.startswith("{"):
        return Segment(literal=_literal(text))
    name, colon, regex = text.removeprefix("{").partition(":")
    if not text.endswith("}"):
        raise ValueError(f"a parameter is a whole segment; in {text!r} something follows the }}")
    name, regex = (name, regex[:-1]) if colon else (name[:-1], "")
    if not _NAME.fullmatch(name):
        raise ValueError(f"a parameter is named with letters, digits and _, not {name!r}")
    if not colon:
        return Segment(parameter=name)
    _check_regex(name, regex)
    return Segment(parameter=name, regex=regex)


def _check_regex(name: str, regex: str) -> None:
    if not regex:
        raise ValueError(f"the regular expression of {{{name}:}} is missing")
    if len(regex) > _LONGEST_REGEX:
        raise ValueError(f"the regular expression of {{{name}}} is longer than {_LONGEST_REGEX} characters")
    try:
        compile_regex(regex)
    except ValueError as error:
        raise ValueError(f"the regular expression of {{{name}}} does not compile: {error}") from None


def _literal(text: str) -> str:
    if bad := _OUT_OF_PLACE.search(text):
        raise ValueError(f"the character {bad[0]!r} cannot stand in a path; match a query under `query:`")
    if text == REST:
        raise ValueError("/** can only stand at the end of a path")
    if "*" in text:
        raise ValueError(
            "a * cannot stand in a path: write {name} for one segment, /** at the end for the rest"
        )
    if "{" in text or "}" in text:
        raise ValueError(f"a parameter is a whole segment, {{name}}; {text!r} is not")
    decoded = unquote(text)
    if "\ufffd" in decoded:
        raise ValueError(f"{text!r} is not percent-encoded UTF-8")
    if has_dots(decoded):
        raise ValueError("a path with . or .. segments is never matched")
    return decoded


def has_dots(decoded: str) -> bool:
    """Whether a decoded path or segment holds a `.` or `..` segment."""
    return any(part in {".", ".."} for part in decoded.split("/"))


def check_rewrite(text: str, path: PathPattern) -> None:
    """Raise ValueError when `rewrite` could not be filled in from what `path` matches."""
    for name in _PLACEHOLDER.findall(text):
        if name not in {segment.parameter for segment in path.segments}:
            raise ValueError(f"{path.text} has no parameter {{{name}}}")
    plain = _PLACEHOLDER.sub("x", text)
    if plain.endswith("/" + REST):
        if not path.rest:
            raise ValueError(f"{path.text} does not end in /**, so there is no rest to put here")
        plain = plain.removesuffix(REST)
    if REST in plain:
        raise ValueError("/** can only stand at the end of a path")
    if not _REWRITE.fullmatch(plain):
        raise ValueError("a rewrite is a path: it begins with /, has no query, and is percent-encoded")
    if has_dots(decode_segment(plain)):
        raise ValueError("a rewrite has no . or .. segments")
