"""What a route changes: the headers of a request, those of its copies, and answers before they are compared."""

from __future__ import annotations

from collections.abc import Callable

from strangler.routes.faults import shown
from strangler.routes.model import AnswerBridge, Bridge, HeaderEdits, ShadowHeaders
from strangler.routes.nodes import Node
from strangler.routes.reader import Reader, Shape
from strangler.routes.values import (
    parse_editable_header,
    parse_header_value,
    parse_host_header,
    parse_removable_header,
)

_HEADERS = Shape("headers", ("set", "remove"))
_SHADOW_HEADERS = Shape("shadow_headers", ("legacy", "extracted"))
_BRIDGE = Shape("bridge", ("legacy", "extracted"))
_ANSWER = Shape("a side of bridge", ("headers", "body"))


#: The name of a header, checked. Raises ValueError.
Check = Callable[[str], str]


def read_headers(
    reader: Reader,
    node: Node,
    editable: Check = parse_editable_header,
    removable: Check = parse_removable_header,
) -> HeaderEdits:
    """`{set: {NAME: VALUE}, remove: [NAME]}`."""
    fields = reader.fields(node, _HEADERS)
    seen: set[str] = set()
    edits: list[tuple[str, str]] = []
    if "set" in fields:
        for key, key_node, value in reader.entries(fields["set"], "set"):
            name = _header_name(reader, key_node, key, seen, editable)
            convert = parse_host_header if key.lower() == "host" else parse_header_value
            text = reader.value(value, f"the header {shown(key)}", convert)
            if name is not None and text is not None:
                edits.append((name, text))
    items = reader.items(fields["remove"], "remove") if "remove" in fields else []
    texts = [(item, text) for item in items if (text := reader.text(item, "a header")) is not None]
    removed = [_header_name(reader, item, text, seen, removable) for item, text in texts]
    return HeaderEdits(tuple(edits), tuple(name for name in removed if name is not None))


def _header_name(reader: Reader, node: Node, text: str, seen: set[str], check: Check) -> str | None:
    try:
        name = check(text)
    except ValueError as error:
        reader.fault(node, f"header {shown(text)}: {error}")
        return None
    if name.lower() in seen:
        reader.fault(node, f"the header {shown(text)} stands here twice")
    seen.add(name.lower())
    return name


def read_shadow_headers(reader: Reader, fields: dict[str, Node]) -> ShadowHeaders:
    """`shadow_headers` of a route: edits by side."""
    if "shadow_headers" not in fields:
        return ShadowHeaders()
    sides = reader.fields(fields["shadow_headers"], _SHADOW_HEADERS)
    return ShadowHeaders(**{side: read_headers(reader, node) for side, node in sides.items()})


def read_bridge(
    reader: Reader, fields: dict[str, Node], check_expression: Callable[[str], str | None]
) -> Bridge:
    """`bridge` of a route's `compare`: headers and body of the answer by side."""
    if "bridge" not in fields:
        return Bridge()
    sides = reader.fields(fields["bridge"], _BRIDGE)
    return Bridge(**{side: _answer(reader, node, check_expression) for side, node in sides.items()})


def _answer(reader: Reader, node: Node, check_expression: Callable[[str], str | None]) -> AnswerBridge:
    fields = reader.fields(node, _ANSWER)
    headers = HeaderEdits()
    if "headers" in fields:
        headers = read_headers(reader, fields["headers"], _answer_header, _answer_header)
    body = reader.text(fields["body"], "body") if "body" in fields else None
    if body is not None and (problem := check_expression(body)):
        reader.fault(fields["body"], f"body {shown(body)}: {problem}")
    return AnswerBridge(headers, body)


def _answer_header(text: str) -> str:
    if parse_editable_header(text).lower() == "content-encoding":
        raise ValueError("the comparison undoes content codings by itself; it cannot be edited")
    return text
