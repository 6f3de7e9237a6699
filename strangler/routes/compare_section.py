"""What stands under `compare:` of a route: what is not compared, what counts as the same, what is accepted."""

from __future__ import annotations

from collections.abc import Callable

from strangler.routes.faults import shown
from strangler.routes.model import CompareRules, RulePlace
from strangler.routes.nodes import Node
from strangler.routes.reader import Reader, Shape

_COMPARE = Shape(
    "compare",
    ("ignore", "only", "unordered", "keyed", "tolerance", "redact"),
    later=frozenset({"accept", "noise", "exact", "confirm"}),
)
#: What is wrong with a rule of a kind (`keyed`), at a place (`$.items`), that says how (`sku`); None when it is fine.
CheckRule = Callable[[str, str, str], str | None]


def read_compare(reader: Reader, node: Node, check_rule: CheckRule) -> CompareRules:
    """The rules of one route; what has a fault is left out."""
    return _Section(reader, check_rule).read(node)


class _Section:
    def __init__(self, reader: Reader, check_rule: CheckRule) -> None:
        self._reader = reader
        self._check_rule = check_rule
        self._places: list[RulePlace] = []

    def read(self, node: Node) -> CompareRules:
        fields = self._reader.fields(node, _COMPARE)
        return CompareRules(
            ignore=self._list(fields, "ignore"),
            only=self._list(fields, "only"),
            unordered=self._list(fields, "unordered"),
            keyed=self._mapping(fields, "keyed"),
            tolerance=self._mapping(fields, "tolerance"),
            redact=self._list(fields, "redact"),
            places=tuple(self._places),
        )

    def _list(self, fields: dict[str, Node], key: str) -> tuple[str, ...]:
        items = self._reader.items(fields[key], key) if key in fields else []
        rules: list[str] = []
        for item in items:
            text = self._reader.text(item, "a rule")
            if text is not None and self._is_sound(item, key, text):
                rules.append(text)
        return tuple(rules)

    def _mapping(self, fields: dict[str, Node], key: str) -> tuple[tuple[str, str], ...]:
        rules: list[tuple[str, str]] = []
        for place, node, value in self._reader.entries(fields[key], key) if key in fields else []:
            how = self._reader.text(value, f"{key} of {shown(place)}")
            if how is not None and self._is_sound(node, key, place, how):
                rules.append((place, how))
        return tuple(rules)

    def _is_sound(self, node: Node, key: str, place: str, how: str = "") -> bool:
        problem = self._check_rule(key, place, how)
        if problem:
            said = f"{place}: {how}" if how else place
            self._reader.fault(node, f"{key} {shown(said)}: {problem}")
        self._places.append(RulePlace(key, place, node.line, node.column))
        return problem is None
