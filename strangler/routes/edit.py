"""Changing one value of a routes file and keeping every other byte.

The place comes from the parser's own marks. Afterwards the result is read again and must hold the same values as
before but for the new one, so a style of writing that nobody thought of is refused and never mangled.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal

from strangler.routes.faults import shown
from strangler.routes.nodes import (
    Alias,
    Document,
    Mapping,
    Node,
    Scalar,
    Sequence,
    Unreadable,
    behind,
    read_document,
)
from strangler.routes.units import parse_percent

Key = Literal["share", "shadow"]


class CannotEdit(ValueError):
    """The value cannot be changed without touching anything else. The message says why, and in which line."""


def set_value(data: bytes, route: str, key: Key, value: str) -> bytes:
    """The file with `key` of the named route set to `value`, such as `25%`. Raises CannotEdit."""
    try:
        parse_percent(value)
        document = read_document(data)
    except Unreadable as error:
        raise CannotEdit(f"line {error.fault.line}: {error.fault.message}") from None
    except ValueError as error:
        raise CannotEdit(f"{key} {shown(value)}: {error}") from None
    mapping = _find_route(document.root, route)
    refused = CannotEdit(f"line {mapping.line}: {key} cannot be changed here without changing something else")
    present = _value_of(mapping, key)
    if present is None:
        text = _insert(document.text, mapping, key, value)
    else:
        text = _replace(document.text, present, key, value)
        _say(mapping, present, value)
    edited = ("\ufeff" if document.bom else "").encode() + text.encode()
    _verify(document, edited, refused)
    return edited


def _find_route(root: Node, name: str) -> Mapping:
    routes = _value_of(root, "routes") if isinstance(root, Mapping) else None
    if not isinstance(routes, Sequence):
        raise CannotEdit("the file has no list of routes")
    found: list[Mapping] = []
    names: list[str] = []
    for item in routes.items:
        mapping = behind(item)
        if not isinstance(mapping, Mapping):
            continue
        scalar = behind(_value_of(mapping, "name") or mapping)
        if isinstance(scalar, Scalar):
            names.append(scalar.text)
            if scalar.text == name:
                if isinstance(item, Alias) or mapping.shared:
                    raise CannotEdit(
                        f"line {item.line}: the route {shown(name)} stands in more than one place"
                    )
                found.append(mapping)
    if not found:
        close = get_close_matches(name, names, n=1)
        raise CannotEdit(f"no route {shown(name)}" + (f"; did you mean {shown(close[0])}?" if close else ""))
    if len(found) > 1:
        raise CannotEdit(f"line {found[1].line}: two routes are named {shown(name)}")
    return found[0]


def _value_of(mapping: Node, key: str) -> Node | None:
    """The value of a key, without following an alias. A key that stands twice is refused."""
    if not isinstance(mapping, Mapping):
        return None
    values = [value for name, value in mapping.entries if _is_text(name, key)]
    if len(values) > 1:
        raise CannotEdit(f"line {values[1].line}: the key {shown(key)} stands twice")
    return values[0] if values else None


def _is_text(node: Node, text: str) -> bool:
    scalar = behind(node)
    return isinstance(scalar, Scalar) and scalar.text == text


def _replace(text: str, node: Node, key: Key, value: str) -> str:
    if isinstance(node, Alias):
        return text[: node.start] + value + text[node.end :]
    if not isinstance(node, Scalar):
        raise CannotEdit(f"line {node.line}: {key} is not a text")
    if node.shared:
        raise CannotEdit(
            f"line {node.line}: this {key} has an anchor that is used elsewhere, which would change too"
        )
    if not node.text:
        raise CannotEdit(f"line {node.line}: {key} is empty; write a percentage first")
    start = _value_start(text, node)
    if node.style in {"'", '"'}:
        value = node.style + value + node.style
    elif node.style is not None:
        raise CannotEdit(f"line {node.line}: {key} is written as a block (| or >); write it in one line")
    return text[:start] + value + text[node.end :]


def _value_start(text: str, node: Scalar) -> int:
    """Where the value itself begins, after its anchor and its tag."""
    start = node.start
    while text[start] in "&!":
        while start < node.end and not text[start].isspace():
            start += 1
        while start < node.end and text[start].isspace():
            start += 1
        if start >= node.end or text[start] == "#":
            raise CannotEdit(f"line {node.line}: the value cannot be told from its anchor or tag")
    return start


def _insert(text: str, mapping: Mapping, key: Key, value: str) -> str:
    """Put the key after another one that is written in one piece, the nearest of kin first."""
    places = {name.text: at for at, (name, _) in enumerate(mapping.entries) if isinstance(name, Scalar)}
    for kin in ("share", "shadow", "extracted", "match", "name"):
        name, held = mapping.entries[places[kin]] if kin in places else (None, None)
        if not isinstance(name, Scalar) or held is None or not _in_one_piece(held):
            continue
        mapping.entries.insert(places[kin] + 1, (_scalar(key), _scalar(value)))
        if not mapping.flow:
            return _insert_line(text, held.end, " " * (name.column - 1) + f"{key}: {value}")
        quote = name.style if name.style in {"'", '"'} else ""
        return text[: held.end] + f", {quote}{key}{quote}: {quote}{value}{quote}" + text[held.end :]
    raise CannotEdit(f"line {mapping.line}: there is no line after which {key} could be put")


def _say(mapping: Mapping, present: Node, value: str) -> None:
    """Put the new value into the tree too, so that it says what the edited text must say."""
    new = _scalar(value, anchored=present.anchored)
    mapping.entries = [(name, new if held is present else held) for name, held in mapping.entries]


def _scalar(text: str, anchored: bool = False) -> Scalar:
    return Scalar(line=0, column=0, start=0, end=0, anchored=anchored, text=text)


def _in_one_piece(node: Node) -> bool:
    """Whether the end that the parser gives is the end of what is written."""
    if isinstance(node, Scalar):
        return bool(node.text) and node.style not in {"|", ">"}
    return isinstance(node, Alias) or (isinstance(node, Mapping | Sequence) and node.flow)


def _insert_line(text: str, after: int, line: str) -> str:
    end = min((at for at in (text.find("\n", after), text.find("\r", after)) if at >= 0), default=-1)
    if end < 0:
        newline = "\r\n" if "\r\n" in text else "\n"
        return text + newline + line
    newline = "\r\n" if text.startswith("\r\n", end) else text[end]
    at = end + len(newline)
    return text[:at] + line + newline + text[at:]


def _verify(expected: Document, edited: bytes, refused: CannotEdit) -> None:
    """Refuse an edit after which the file says anything but what it said, with the new value in its place."""
    try:
        document = read_document(edited)
    except Unreadable:
        raise refused from None
    if _said(document.root) != _said(expected.root):
        raise refused


def _said(root: Node) -> list[object]:
    """What a tree says, as a flat list. Aliases stay aliases, each with the number of its anchor."""
    said: list[object] = []
    numbers: dict[int, int] = {}
    waiting: list[Node | str] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            said.append(node)
            continue
        if node.anchored:
            numbers[id(node)] = len(numbers)
        if isinstance(node, Alias):
            said.append(("alias", numbers.get(id(node.target))))
        elif isinstance(node, Scalar):
            said.append(("text", node.text))
        elif isinstance(node, Sequence):
            said.append("[")
            waiting.extend(["]", *reversed(node.items)])
        elif isinstance(node, Mapping):
            said.append("{")
            waiting.extend(["}", *(part for entry in reversed(node.entries) for part in reversed(entry))])
    return said
