"""XML and HTML as values that are compared like JSON: by element, attribute and text, not by spelling.

An element is an object: its attributes as `@name`, its children by name in arrays, its text as `#text`, and, where
there are children of several names or text between them, the order of both as `#order`. Prefixes, quotes, entities,
comments, processing instructions and the order of attributes say nothing.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any, Final

from lxml import etree

from strangler.compare.coding import Broken
from strangler.compare.difference import Incomparable

#: Start tags and end tags together. The parser makes some thirty times their size of them.
_TAGS: Final = 100_000


#: A name in a namespace is the namespace's name and its own, each time it stands there.
_LONG_NAMESPACE: Final = re.compile(rb"""xmlns[^=<>]{0,200}=\s*["'][^"']{500}""")
#: Entities that only a DTD declares: it is not read, so nobody can say what they stand for.
_ENTITY: Final = re.compile(rb"<!ENTITY|&(?!lt;|gt;|amp;|quot;|apos;)[A-Za-z_:][\w.:-]{0,80};")
_TAG: Final = re.compile(rb"<[^>]{16384,}")
#: Attributes of one tag: what checks that each is there once takes the square of their number.
_ATTRIBUTES: Final = 4_000
_SPACE: Final = re.compile("[ \t\n\f\r]+")  # of HTML, which a no-break space is not


def is_xml(media: str) -> bool:
    """Whether a media type promises XML (RFC 7303)."""
    return media in {"application/xml", "text/xml"} or media.endswith("+xml")


def parsed_xml(content: bytes, charset: str) -> Any:
    """The document; nothing is fetched and no entity replaced. Raises Broken, and Incomparable (`too_complex`).

    A document with entities of its own is Broken too: two of them may say different things by the same words.
    """
    if _ENTITY.search(content):
        raise Broken
    if _LONG_NAMESPACE.search(content):
        raise Incomparable("too_complex")
    parser = etree.XMLParser(
        encoding=_known(charset),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return _parsed(content, parser, collapse=False)


def parsed_html(content: bytes, charset: str) -> Any:
    """The document as a browser would build it, or nearly. Raises Broken, and Incomparable (`too_complex`)."""
    known = _known(charset)
    try:
        # What is no character of the charset must not vanish: two pages may differ in nothing else.
        content = content.decode(known or "utf-8", "backslashreplace" if known else "strict").encode()
        known = "utf-8"
    except (ValueError, LookupError):
        pass  # without a charset, the page may name one itself
    parser = etree.HTMLParser(
        encoding=known, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    return _parsed(content, parser, collapse=True)


def _parsed(content: bytes, parser: Any, *, collapse: bool) -> Any:
    spaces = (sum(map(tag[0].count, (b" ", b"\n", b"\t"))) for tag in _TAG.finditer(content))
    if content.count(b"<") > _TAGS or any(count > _ATTRIBUTES for count in spaces):
        raise Incomparable("too_complex")
    try:
        root = etree.fromstring(content, parser)
    except (etree.LxmlError, ValueError) as problem:
        _check_limits(parser)
        raise Broken from problem
    # What is beyond a limit an HTML parser silently leaves out.
    _check_limits(parser)
    if root is None:
        raise Broken
    return {str(root.tag): _element(root, collapse)}


def _check_limits(parser: Any) -> None:
    if any("xcessive depth" in entry.message or "limit" in entry.message for entry in parser.error_log):
        raise Incomparable("too_complex")


def _known(charset: str) -> str | None:
    try:
        etree.XMLParser(encoding=charset or None)
    except (LookupError, ValueError):
        return None
    return charset or None


def _element(node: Any, collapse: bool) -> dict[str, Any]:
    value: dict[str, Any] = {f"@{name}": text for name, text in node.attrib.items()}
    order: list[str] = []
    texts: list[str] = []
    _text(node.text, collapse, texts, order)
    for child in node:
        if isinstance(child.tag, str):
            value.setdefault(child.tag, []).append(_element(child, collapse))
            order.append(child.tag)
        _text(child.tail, collapse, texts, order)
    names = [name for name, _ in groupby(order)]
    if len(names) > 1:
        value["#order"] = " ".join(names)
    if texts:
        value["#text"] = " ".join(texts)
    return value


def _text(text: str | None, collapse: bool, texts: list[str], order: list[str]) -> None:
    piece = _SPACE.sub(" ", text or "").strip(" ") if collapse else (text or "").strip()
    if piece:
        texts.append(piece)
        order.append("#text")
