"""What stands under `compare:` of a route: what is not compared, what counts as the same, what is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from strangler.routes.faults import shown
from strangler.routes.headers_section import read_bridge
from strangler.routes.model import Accepted, CompareRules, RulePlace
from strangler.routes.nodes import Node
from strangler.routes.reader import Reader, Shape
from strangler.routes.units import or_none, parse_duration, parse_percent

_COMPARE = Shape(
    "compare",
    (
        *("ignore", "only", "unordered", "keyed", "tolerance"),
        *("accept", "noise", "exact", "confirm", "redact", "bridge"),
    ),
)
_ACCEPTED = Shape(
    "an accepted fingerprint", ("fingerprint", "reason", "until"), ("fingerprint", "reason", "until")
)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")

#: What is wrong with a rule of a kind (`keyed`), at a place (`$.items`), that says how (`sku`); None when it is fine.
CheckRule = Callable[[str, str, str], str | None]

_DEFAULT = CompareRules()


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
        reader = self._reader
        return CompareRules(
            ignore=self._list(fields, "ignore"),
            only=self._list(fields, "only"),
            unordered=self._list(fields, "unordered"),
            keyed=self._mapping(fields, "keyed"),
            tolerance=self._mapping(fields, "tolerance"),
            accept=self._accepted(fields),
            noise=reader.optional(fields, "noise", parse_percent, _DEFAULT.noise),
            exact=self._list(fields, "exact"),
            confirm=reader.value(fields["confirm"], "confirm", or_none(parse_duration))
            if "confirm" in fields
            else _DEFAULT.confirm,
            redact=self._list(fields, "redact"),
            bridge=read_bridge(reader, fields, lambda text: self._check_rule("bridge", "body", text)),
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

    def _accepted(self, fields: dict[str, Node]) -> tuple[Accepted, ...]:
        accepted: dict[str, Accepted] = {}
        for item in self._reader.items(fields["accept"], "accept") if "accept" in fields else []:
            each = self._reader.fields(item, _ACCEPTED)
            values = (
                self._reader.value(each["fingerprint"], "fingerprint", _parse_fingerprint)
                if "fingerprint" in each
                else None,
                self._reader.text(each["reason"], "reason") if "reason" in each else None,
                self._reader.value(each["until"], "until", _parse_date) if "until" in each else None,
            )
            if values[0] in accepted:
                self._reader.fault(item, f"the fingerprint {values[0]} is accepted twice")
            if values[0] is not None and values[1] is not None and values[2] is not None:
                accepted[values[0]] = Accepted(values[0], values[1], values[2], item.line, item.column)
        return tuple(accepted.values())


def _parse_fingerprint(text: str) -> str:
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError("write the 16 hex digits that the report gives; in quotes when they are all digits")
    return text


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("write the last day on which this is accepted, such as 2026-12-31") from None
