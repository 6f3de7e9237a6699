"""Where everything of the picture stands: rows in the middle, upstreams at the right, bands between them. Pure.

All lengths are in the units of the drawing, which are pixels when it is shown at its own size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from strangler.cutover.diagram import Kind, Picture, Row, links
from strangler.routes import WHOLE, Percent, Side

WIDTH: Final = 1160.0
MARGIN: Final = 24.0
TOP: Final = 64.0  # below the line that counts the routes
BOTTOM: Final = 56.0  # for the legend
CARD_LEFT, CARD_RIGHT = 172.0, 700.0
NODE_LEFT, NODE_RIGHT = 940.0, WIDTH - MARGIN
_NODE_LEAST: Final = 54.0
_NODE_GAP: Final = 20.0
_NODE_PADDING: Final = 10.0
#: A copy is as wide as this, whatever its share; an answer is never thinner.
_THIN: Final = 1.5
_BAND_GAP: Final = 2.0
#: Up to so many rows there is room for large ones.
_FEW: Final = 12


@dataclass(frozen=True, slots=True)
class Card:
    """A row in its place; None is what no route claims. `band` is the width of all that its callers are answered."""

    row: Row | None
    top: float
    height: float
    band: float

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.top + self.height / 2


@dataclass(frozen=True, slots=True)
class Node:
    """An upstream in its place, and how many routes are its own, or would be."""

    name: str
    side: Side
    routes: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Band:
    """From a card (by its number) to a node: the heights of both ends' middles, and the width."""

    card: int
    kind: Kind
    side: Side
    percent: Percent
    start: float
    end: float
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything in its place. `bottom` is that of the lowest card or node."""

    cards: tuple[Card, ...]
    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]
    bottom: float

    @property
    def height(self) -> float:
        """Of the whole drawing."""
        return self.bottom + BOTTOM


@dataclass(frozen=True, slots=True)
class _End:
    """A band that has left its card and not yet come to its node."""

    card: int
    kind: Kind
    side: Side
    percent: Percent
    node: str
    start: float
    width: float


def layout(drawn: Picture) -> Layout:
    """The picture laid out."""
    cards = _cards(drawn)
    ends = [end for index, card in enumerate(cards) for end in _ends(index, card, drawn.legacy)]
    incoming: defaultdict[str, list[_End]] = defaultdict(list)
    for end in ends:
        incoming[end.node].append(end)
    nodes = _nodes(drawn, cards, incoming)
    bands = [band for node in nodes for band in _arrivals(node, incoming[node.name])]
    bottom = max([*(card.top + card.height for card in cards), *(node.top + node.height for node in nodes)])
    return Layout(cards, nodes, tuple(sorted(bands, key=lambda band: band.card)), bottom)


def _cards(drawn: Picture) -> tuple[Card, ...]:
    height, pitch, band = (54.0, 68.0, 18.0) if len(drawn.rows) <= _FEW else (46.0, 54.0, 11.0)
    rows: list[Row | None] = [*drawn.rows, None]
    return tuple(Card(row, TOP + index * pitch, height, band) for index, row in enumerate(rows))


def _ends(index: int, card: Card, legacy: str) -> Iterable[_End]:
    """The bands that leave a card, from top to bottom: those to the extracted side first, as the nodes stand."""
    found = links(card.row) if card.row is not None else []
    wanted: list[tuple[Kind, Side, Percent]] = [
        (link.kind, link.side, link.percent)
        for side in ("extracted", "legacy")
        for link in found
        if link.side == side
    ]
    if card.row is None:
        wanted = [("answer", "legacy", WHOLE)]
    widths = [
        _THIN if kind == "copy" else max(_THIN, card.band * percent / WHOLE) for kind, _, percent in wanted
    ]
    y = card.middle - (sum(widths) + _BAND_GAP * (len(widths) - 1)) / 2
    for (kind, side, percent), width in zip(wanted, widths, strict=True):
        node = card.row.extracted if card.row is not None and side == "extracted" else legacy
        yield _End(index, kind, side, percent, node, y + width / 2, width)
        y += width + _BAND_GAP


def _nodes(drawn: Picture, cards: Sequence[Card], incoming: dict[str, list[_End]]) -> tuple[Node, ...]:
    """The upstreams in the order of their rows, the legacy one below, each as near to its rows as there is room."""
    heights = {name: _height(incoming[name]) for name in (*drawn.upstreams, drawn.legacy)}
    wished: dict[str, float] = {}
    for name in drawn.upstreams:
        own = [card.middle for card in cards if card.row is not None and card.row.extracted == name]
        wished[name] = sum(own) / len(own)
    order = sorted(drawn.upstreams, key=lambda name: wished[name])
    floor = max(
        cards[-1].top + cards[-1].height,
        TOP + sum(heights.values()) + _NODE_GAP * (len(heights) - 1),
    )
    tops = _settled(
        [(wished[name] - heights[name] / 2, heights[name]) for name in order]
        + [(floor - heights[drawn.legacy], heights[drawn.legacy])],
        floor,
    )
    routes = {name: sum(row.routes for row in drawn.rows if row.extracted == name) for name in order}
    nodes = [
        Node(name, "extracted", routes[name], top, heights[name])
        for name, top in zip(order, tops, strict=False)
    ]
    return (*nodes, Node(drawn.legacy, "legacy", 0, tops[-1], heights[drawn.legacy]))


def _height(ends: Sequence[_End]) -> float:
    return max(_NODE_LEAST, _stacked(ends) + 2 * _NODE_PADDING)


def _stacked(ends: Sequence[_End]) -> float:
    return sum(end.width for end in ends) + _BAND_GAP * max(len(ends) - 1, 0)


def _settled(wished: Sequence[tuple[float, float]], floor: float) -> list[float]:
    """Tops in the same order without an overlap, none above TOP, none below the floor, near to what was wished."""
    tops: list[float] = []
    free = TOP
    for top, height in wished:
        tops.append(max(top, free))
        free = tops[-1] + height + _NODE_GAP
    limit = floor
    for index in range(len(tops) - 1, -1, -1):
        tops[index] = min(tops[index], limit - wished[index][1])
        limit = tops[index] - _NODE_GAP
    return tops


def _arrivals(node: Node, ends: Sequence[_End]) -> Iterable[Band]:
    y = node.top + (node.height - _stacked(ends)) / 2
    for end in sorted(ends, key=lambda end: end.start):
        yield Band(end.card, end.kind, end.side, end.percent, end.start, y + end.width / 2, end.width)
        y += end.width + _BAND_GAP
