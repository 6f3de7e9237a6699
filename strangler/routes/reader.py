"""Reading values out of nodes, and collecting every fault on the way instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from strangler.routes.faults import Fault, shown
from strangler.routes.nodes import Mapping, Node, Scalar, Sequence, behind, is_blank

T = TypeVar("T")

#: Suggestions are for people: after so many words compared, a file has other problems.
_MOST_COMPARISONS = 20_000
_LONGEST_WORD = 60
_UNPRINTABLE_NAME = re.compile(r"[\s/]")


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of one kind of mapping."""

    what: str
    known: tuple[str, ...]
    required: tuple[str, ...] = ()


class Reader:
    """Collects faults. Its methods return None for what cannot be read, after saying why."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: dict[Fault, None] = dict.fromkeys(faults)
        self._comparisons = 0

    def fault(self, node: Node, message: str) -> None:
        """Say what is wrong at a node."""
        self.faults[Fault(node.line, node.column, message)] = None

    def suggestion(self, word: str, names: Collection[str]) -> str:
        """`; did you mean 'x'?` when a name is close, else nothing."""
        self._comparisons += len(names)
        if len(word) > _LONGEST_WORD or self._comparisons > _MOST_COMPARISONS:
            return ""
        close = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(word.upper(), names, n=1)
        return f"; did you mean {shown(close[0])}?" if close else ""

    def text(self, node: Node, what: str) -> str | None:
        """The text of a scalar, however it is quoted."""
        scalar = behind(node)
        if isinstance(scalar, Scalar):
            if scalar.text:
                return scalar.text
            self.fault(node, f"{what} is empty")
        else:
            self.fault(node, f"{what} must be text, not {_kind(scalar)}")
        return None

    def value(self, node: Node, what: str, convert: Callable[[str], T]) -> T | None:
        """The text of a scalar, converted. What `convert` raises as ValueError becomes the fault."""
        text = self.text(node, what)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError as error:
            self.fault(node, f"{what} {shown(text)}: {error}")
            return None

    def optional(self, fields: dict[str, Node], key: str, convert: Callable[[str], T], default: T) -> T:
        """The value of a key, or the default when the key is missing, faulty or converted to None."""
        value = self.value(fields[key], key, convert) if key in fields else None
        return default if value is None else value

    def items(self, node: Node, what: str) -> list[Node]:
        """The items of a list. A key with nothing after it is an empty list."""
        sequence = behind(node)
        if isinstance(sequence, Sequence):
            return sequence.items
        if not is_blank(sequence):
            self.fault(node, f"{what} must be a list, not {_kind(sequence)}")
        return []

    def entries(self, node: Node, what: str) -> list[tuple[str, Node, Node]]:
        """The entries of a mapping as (key, key's node, value's node), each key once."""
        mapping = behind(node)
        if not isinstance(mapping, Mapping):
            found = "nothing" if is_blank(mapping) else _kind(mapping)
            self.fault(node, f"{what} must be a mapping (key: value), not {found}")
            return []
        lines: dict[str, int] = {}
        entries = []
        for key_node, value in mapping.entries:
            key = behind(key_node)
            if not isinstance(key, Scalar):
                self.fault(key_node, f"a key of {what} must be text, not {_kind(key)}")
            elif key.text == "<<" and key.style is None:
                self.fault(key_node, "merge keys (<<) are not part of the format; write the keys out")
            elif key.text in lines:
                first = lines[key.text]
                self.fault(
                    key_node, f"the key {shown(key.text)} stands twice in {what}, first in line {first}"
                )
            else:
                lines[key.text] = key_node.line
                entries.append((key.text, key_node, value))
        return entries

    def fields(self, node: Node, shape: Shape) -> dict[str, Node]:
        """The values of a mapping whose keys the format names."""
        fields = {}
        for key, key_node, value in self.entries(node, shape.what):
            if key in shape.known:
                fields[key] = value
            else:
                hint = self.suggestion(key, shape.known)
                self.fault(key_node, f"unknown key {shown(key)} in {shape.what}{hint}")
        if isinstance(behind(node), Mapping):
            for key in shape.required:
                if key not in fields:
                    self.fault(node, f"the key {shown(key)} is missing in {shape.what}")
        return fields


def line_of(node: Node, key: str) -> int:
    """The line where a key of a mapping stands, which may be the one before its value's."""
    mapping = behind(node)
    entries = mapping.entries if isinstance(mapping, Mapping) else []
    places = ((behind(place), place.line) for place, _ in entries)
    return next((line for name, line in places if isinstance(name, Scalar) and name.text == key), node.line)


def checked_name(text: str) -> str:
    """A name of a route or an upstream, which must survive a URL, a log and a shell. ValueError otherwise."""
    if len(text) > 100:
        raise ValueError("a name is 100 characters at most")
    if _UNPRINTABLE_NAME.search(text) or not text.isprintable():
        raise ValueError("a name has no spaces and no slashes")
    return text


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    return "a list" if isinstance(node, Sequence) else "text"
