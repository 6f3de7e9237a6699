"""XML and HTML as values that are compared like JSON: by element, attribute and text, not by spelling.

An element is an object: its attributes as `@name`, its children by name in arrays, its text as `#text`, and, where
there are children of several names, the order of the names as `#order`. Prefixes, quotes, entities, comments,
processing instructions and the order of attributes say nothing.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from lxml import etree

from strangler.compare.coding import Broken
from strangler.compare.difference import Incomparable

#: Start tags and end tags together. The parser makes some thirty times their size of them.
_TAGS: Final = 100_000


def is_xml(media: str) -> bool:
    """Whether a media type promises XML (RFC 7303)."""
    return media in {"application/xml", "text/xml"} or media.endswith("+xml")


def parsed_xml(content: bytes, charset: str) -> Any:
    """The document; nothing is fetched and no entity replaced. Raises Broken, and Incomparable (`too_complex`)."""
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
    parser = etree.HTMLParser(
        encoding=_known(charset), no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    return _parsed(content, parser, collapse=True)


def _parsed(content: bytes, parser: Any, *, collapse: bool) -> Any:
    if content.count(b"<") > _TAGS:
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
    names: list[str] = []
    texts = [node.text or ""]
    for child in node:
        if isinstance(child.tag, str):
            value.setdefault(child.tag, []).append(_element(child, collapse))
            names.append(child.tag)
        else:  # an entity that was not replaced
            texts.append(child.text or "")
        texts.append(child.tail or "")
    order = [name for name, _ in groupby(names)]
    if len(order) > 1:
        value["#order"] = " ".join(order)
    pieces = (" ".join(text.split()) if collapse else text.strip() for text in texts)
    text = " ".join(piece for piece in pieces if piece)
    if text:
        value["#text"] = text
    return value
