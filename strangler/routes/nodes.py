"""YAML as a tree of nodes that know their place, built from PyYAML's events.

Events and not `yaml.compose`, for three reasons. An alias keeps a place of its own, so a fault can point at the
use and an edit can replace it. Nothing recurses, so ten thousand brackets are a fault and not a crash. And what
aliases would expand to is counted as they come and never built, so an alias bomb costs nothing.

There are no YAML types here: a scalar is the text it is written as. `no` is a country, and `1.10` is a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from strangler.routes.faults import Fault

#: A routes file larger than this is taken for a mistake.
MOST_BYTES = 4 * 1024 * 1024
#: Far more than the format needs.
MOST_DEPTH = 32
#: How many nodes a file may stand for once its aliases are followed.
MOST_NODES = 500_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: YAML 1.1 section 5.1. PyYAML refuses these too, but without a line and a column.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_BOM = "\ufeff"


class Unreadable(ValueError):
    """The bytes are not one YAML document. `fault` says why and where."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """Something in the file. `start` and `end` count characters of the text; `shared` counts aliases to it."""

    line: int
    column: int
    start: int
    end: int
    anchored: bool = False
    shared: int = 0
    weight: int = 1  # the nodes it stands for once aliases are followed


@dataclass(slots=True, kw_only=True, eq=False)
class Scalar(Node):
    """A piece of text. `style` is None when plain, else the quote or block indicator."""

    text: str
    style: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence(Node):
    """A list."""

    flow: bool
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Mapping(Node):
    """Keys and values in their order, duplicates included."""

    flow: bool
    entries: list[tuple[Node, Node]] = field(default_factory=list)
    key: Node | None = None  # waiting for its value


@dataclass(slots=True, kw_only=True, eq=False)
class Alias(Node):
    """The use of an anchored node in a second place."""

    target: Node


@dataclass(frozen=True, slots=True)
class Document:
    """The whole file: its text, its root, and the faults that did not stop the reading."""

    text: str
    bom: bool
    root: Node
    faults: tuple[Fault, ...]


def behind(node: Node) -> Node:
    """The node itself, or what an alias stands for."""
    return node.target if isinstance(node, Alias) else node


def is_blank(node: Node) -> bool:
    """Whether nothing was written where a value could stand."""
    return isinstance(node, Scalar) and node.style is None and not node.text


def read_document(data: bytes) -> Document:
    """The tree of a file. Raises Unreadable."""
    text = decode(data)
    bom = text.startswith(_BOM)
    text = text[1:] if bom else text
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.YAMLError as error:
        raise Unreadable(_syntax_fault(error, text)) from None
    if composer.root is None:
        raise Unreadable(Fault(1, 1, "the file is empty"))
    return Document(text, bom, composer.root, tuple(composer.faults))


def decode(data: bytes) -> str:
    """The text of a file. Raises Unreadable when it is too large, not UTF-8, or holds control characters."""
    if len(data) > MOST_BYTES:
        raise Unreadable(Fault(1, 1, f"the file is larger than {MOST_BYTES // 1024 // 1024} MiB"))
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise Unreadable(Fault(1, 1, "the file is UTF-16; write it in UTF-8"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        raise Unreadable(Fault(line, column, "not UTF-8 from here on")) from None
    if bad := _UNPRINTABLE.search(text):
        line, column = _place(text[: bad.start()].removeprefix(_BOM))
        raise Unreadable(Fault(line, column, f"the control character U+{ord(bad[0]):04X} cannot stand here"))
    return text


def _place(before: str) -> tuple[int, int]:
    lines = re.split(r"\r\n|\r|\n", before)
    return len(lines), len(lines[-1]) + 1


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Fault(1, 1, "not YAML: " + " ".join(str(error).split()))
    if text[mark.index : mark.index + 1] == "\t":
        problem = "a tab cannot stand here; indent with spaces"
    else:
        parts = (getattr(error, "context", None), getattr(error, "problem", None))
        problem = " ".join(" ".join(part for part in parts if part).split()) or "cannot be read"
    return Fault(mark.line + 1, mark.column + 1, f"not YAML: {problem}")


class _Composer:
    """Builds the tree, one event at a time, with a stack instead of recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._documents = 0
        self._open: list[Sequence | Mapping] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        """One event of `yaml.parse`."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(event, Scalar(**_where(event), text=event.value, style=_style(event.style)))
        elif kind is yaml.MappingStartEvent:
            self._enter(event, Mapping(**_where(event), flow=bool(event.flow_style)))
        elif kind is yaml.SequenceStartEvent:
            self._enter(event, Sequence(**_where(event), flow=bool(event.flow_style)))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._leave(event)
        elif kind is yaml.AliasEvent:
            self._add_alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise _unreadable(event, "a routes file is one document; a second one begins here")

    def _add(self, event: Any, node: Node) -> None:
        if event.tag not in _TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.faults.append(Fault(node.line, node.column, f"the tag {tag!r} is not part of the format"))
        if event.anchor is not None:
            node.anchored = True
            self._anchors[event.anchor] = node
        self._count(event, 1)
        self._put(node)

    def _count(self, event: Any, weight: int) -> None:
        self._nodes += weight
        if self._nodes > MOST_NODES:
            raise _unreadable(event, f"the file up to here stands for more than {MOST_NODES} values")

    def _put(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            parent.entries.append((parent.key, node))
            parent.key = None

    def _enter(self, event: Any, node: Sequence | Mapping) -> None:
        if len(self._open) >= MOST_DEPTH:
            raise _unreadable(event, f"nested more than {MOST_DEPTH} deep")
        self._add(event, node)
        self._open.append(node)

    def _leave(self, event: Any) -> None:
        node = self._open.pop()
        node.end = event.end_mark.index
        node.weight += sum(child.weight for child in _children(node))

    def _add_alias(self, event: Any) -> None:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise _unreadable(event, f"no anchor &{event.anchor} stands before this alias")
        if any(target is ancestor for ancestor in self._open):
            raise _unreadable(event, f"the alias *{event.anchor} stands inside the thing it repeats")
        target.shared += 1
        self._count(event, target.weight)
        self._put(Alias(**_where(event), target=target, weight=target.weight))


def _children(node: Sequence | Mapping) -> Iterator[Node]:
    if isinstance(node, Sequence):
        yield from node.items
    else:
        for entry in node.entries:
            yield from entry


def _where(event: Any) -> dict[str, Any]:
    mark = event.start_mark
    end = event.end_mark.index
    return {"line": mark.line + 1, "column": mark.column + 1, "start": mark.index, "end": end}


def _style(style: str | None) -> str | None:
    # The pure Python loader says "" where libyaml says None.
    return style or None


def _unreadable(event: Any, message: str) -> Unreadable:
    mark = event.start_mark
    return Unreadable(Fault(mark.line + 1, mark.column + 1, message))
