"""As much of PromQL as dashboards and alerts use: which metrics an expression names, and which of their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d+(?:\.\d+)?[smhd]?)"""
    r"""|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])|(?P<space>\s+)|(?P<bad>.)"""
)
_AGGREGATIONS = {"sum", "min", "max", "count", "avg"}
_FUNCTIONS = {"rate", "increase", "changes", "histogram_quantile", "absent", "vector"}
_OPERATORS = {"and", "or", "unless", "bool", "group_left", "group_right"}
#: Labels that Prometheus itself puts on what it scrapes.
TARGET = {"job", "instance"}

Rendered = Mapping[str, list[Mapping[str, str]]]


@dataclass(frozen=True)
class Selector:
    """`name{label="value"}`, and the labels by which what is inside of it is grouped or matched."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Expression:
    """What stands in an expression. `grouped`: labels and the selectors that must have them."""

    selectors: list[Selector] = field(default_factory=list)
    grouped: list[tuple[str, list[Selector]]] = field(default_factory=list)

    @property
    def labels(self) -> set[str]:
        """Labels that the result may have beside those of its metrics, when it is an aggregation."""
        return {label for label, _ in self.grouped}


def read(text: str) -> Expression:
    """Read an expression. Raises ValueError for what is not understood."""
    tokens = [(found.lastgroup or "", found[0]) for found in _TOKEN.finditer(text)]
    if bad := [token for kind, token in tokens if kind == "bad"]:
        raise ValueError(f"{bad[0]!r} in {text}")
    if text.count("(") != text.count(")") or text.count("{") != text.count("}"):
        raise ValueError(f"brackets in {text}")
    return _Reader([token for token in tokens if token[0] != "space"], text).read()


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._place = 0
        self._found = Expression()
        self._open: list[
            tuple[list[str], int]
        ] = []  # labels of aggregations, and where their selectors begin
        self._everywhere: list[str] = []

    def read(self) -> Expression:
        pending: list[str] = []
        while (token := self._next()) is not None:
            kind, word = token
            if word == "(":
                self._open.append((pending, len(self._found.selectors)))
                pending = []
            elif word == ")":
                labels, first = self._open.pop()
                inside = self._found.selectors[first:]
                self._found.grouped += [(label, inside) for label in labels]
            elif kind == "name":
                pending = self._word(word)
        self._found.grouped += [(label, self._found.selectors) for label in self._everywhere]
        return self._found

    def _word(self, word: str) -> list[str]:
        """One name; gives the labels by which the bracket that follows is grouped."""
        if word in _AGGREGATIONS:
            if self._peek() == "(":
                return []
            if self._peek() != "by":
                raise ValueError(f"{word} {self._peek()} in {self._text}")
            self._next()
            return self._list()
        if word in ("on", "ignoring"):
            self._everywhere += self._list()
        elif word in _FUNCTIONS:
            if self._peek() != "(":
                raise ValueError(f"{word} without its argument in {self._text}")
        elif word not in _OPERATORS:
            if self._peek() == "(":
                raise ValueError(f"no function {word}, in {self._text}")
            matchers = tuple(self._matchers()) if self._peek() == "{" else ()
            self._found.selectors.append(Selector(word, matchers))
        return []

    def _list(self) -> list[str]:
        if self._peek() != "(":
            raise ValueError(f"labels are missing in {self._text}")
        self._next()
        labels = []
        while (token := self._next()) is not None and token[1] != ")":
            if token[0] == "name":
                labels.append(token[1])
        return labels

    def _matchers(self) -> Iterator[tuple[str, str, str]]:
        self._next()
        while (token := self._next()) is not None and token[1] != "}":
            if token[1] == ",":
                continue
            operator, value = self._next(), self._next()
            if token[0] != "name" or operator is None or value is None or value[0] != "text":
                raise ValueError(f"{token[1]} in {self._text}")
            yield token[1], operator[1], value[1][1:-1]

    def _peek(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _next(self) -> tuple[str, str] | None:
        if self._place == len(self._tokens):
            return None
        self._place += 1
        return self._tokens[self._place - 1]


def wrong(text: str, rendered: Rendered) -> Iterator[str]:
    """What an expression asks for that is not there: metrics, labels, or values of labels.

    `rendered`: name of a sample -> the labels of each series of that name.
    """
    found = read(text)
    for selector in found.selectors:
        series = rendered.get(selector.name)
        if not series:
            yield f"no metric {selector.name}"
            continue
        known = set().union(*series) | TARGET
        for label, operator, value in selector.matchers:
            if label not in known:
                yield f"{selector.name} has no label {label}"
            elif "$" not in value and label not in TARGET and not _any(series, label, operator, value):
                yield f"no series {selector.name}{{{label}{operator}{value!r}}}"
    for label, selectors in found.grouped:
        for selector in selectors:
            series = rendered.get(selector.name, [])
            if series and label not in set().union(*series) | TARGET:
                yield f"{selector.name} cannot be grouped by {label}"


def _any(series: list[Mapping[str, str]], label: str, operator: str, value: str) -> bool:
    """Whether a matcher finds anything; every alternative of a regular expression must."""
    values = {each.get(label, "") for each in series}
    wanted = value.split("|") if operator in ("=~", "!~") else [value]
    return all(each in values for each in wanted)
