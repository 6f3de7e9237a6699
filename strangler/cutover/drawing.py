"""The picture as SVG that needs nothing else: no script, no font, no network. Pure.

Every look that matters is an attribute, in colours that can be read on light and on dark, and text has the colour of
the page (`currentColor`): so it can stand inside a page that allows no inline style. Such a page may restyle the
classes, which all begin with `dg-`. A file of its own brings STYLE with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from strangler.compare import printable
from strangler.cutover.diagram import STAGES, TITLE, Kind, Picture, Row, counted, in_words, said
from strangler.cutover.layout import (
    CARD_LEFT,
    CARD_RIGHT,
    MARGIN,
    NODE_LEFT,
    NODE_RIGHT,
    TOP,
    WIDTH,
    Band,
    Card,
    Layout,
    Node,
    layout,
)
from strangler.routes import WHOLE, Percent, Side, Stage, format_percent

#: Light and dark for a file of its own. A page that has the drawing inside may set the same properties.
STYLE: Final = (
    ".dg{--dg-ink:#1c2430;--dg-paper:#ffffff;--dg-legacy:#77838f;--dg-shadow:#5f69d0;--dg-cutover:#b4740c;"
    "--dg-extracted:#0f8f6c;color:var(--dg-ink);background:var(--dg-paper);max-width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){.dg{--dg-ink:#e6eaf0;--dg-paper:#12171e;--dg-legacy:#8d99a6;"
    "--dg-shadow:#8d96f0;--dg-cutover:#dfa13a;--dg-extracted:#2fb893}}"
    ".dg-paper{fill:var(--dg-paper)}"
    + "".join(
        f".dg-fill-{name}{{fill:var(--dg-{name})}}.dg-line-{name}{{stroke:var(--dg-{name})}}"
        for name in ("legacy", "shadow", "cutover", "extracted")
    )
    + ".dg-row:hover .dg-band{stroke-opacity:.95}"
)
#: Readable on white and on near black alike.
_COLOURS: Final[dict[Stage, str]] = {
    "legacy": "#7f8b98",
    "shadow": "#6b74d6",
    "cutover": "#bd7f1e",
    "extracted": "#159a75",
}
#: What the monolith still answers stands back behind what has moved.
_OPACITY: Final[dict[tuple[Kind, Side], float]] = {
    ("answer", "extracted"): 0.55,
    ("answer", "legacy"): 0.34,
    ("copy", "extracted"): 0.9,
    ("copy", "legacy"): 0.75,
}
_KINDS: Final[tuple[tuple[Kind, float, str], ...]] = (
    ("answer", 7, "answers, by share"),
    ("copy", 1.5, "copies (shadow)"),
)
_SANS: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_MONO: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_FAINT: Final = 0.68  # of the page's text colour, for what is second to read
_BAR: Final = 100.0
_BAR_LEFT: Final = CARD_RIGHT - 186
_WALL_LEFT, _WALL_RIGHT = 124.0, 148.0
_CALLERS_RIGHT: Final = 96.0
_CALLERS_LOWEST: Final = 220.0  # a long picture is read from its top


def svg(drawn: Picture, *, alone: bool = True) -> str:
    """The picture as one `<svg>` element; `alone` is False where it goes into a page that has its own style."""
    placed = layout(drawn)
    size = f'width="{_n(WIDTH)}" height="{_n(placed.height)}"' if alone else 'width="100%"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" viewBox="0 0 {_n(WIDTH)} {_n(placed.height)}" '
        f'{size} role="img" font-family={quoteattr(_SANS)} fill="currentColor">\n'
        + "\n".join(_parts(drawn, placed, alone))
        + "\n</svg>\n"
    )


def _parts(drawn: Picture, placed: Layout, alone: bool) -> Iterator[str]:
    yield f"<title>{_safe(TITLE)}</title>"
    yield f"<desc>{_safe(in_words(drawn))}</desc>"
    if alone:
        yield f"<style>{STYLE}</style>"
        yield _tag("rect", cls="dg-paper", width=WIDTH, height=placed.height, fill="none")
    yield _text(MARGIN, 34, counted(drawn), 15, weight=600)
    yield from _entrance(placed)
    for index, card in enumerate(placed.cards):
        yield _row(card, [band for band in placed.bands if band.card == index])
    for node in placed.nodes:
        yield _node(node)
    yield from _legend(placed.bottom + 34)


def _entrance(placed: Layout) -> Iterator[str]:
    """Callers, and the proxy as the wall that all of them come to."""
    last = placed.cards[-1]
    middle = min((TOP + last.top + last.height) / 2, TOP + _CALLERS_LOWEST)
    yield _tag(
        "rect", cls="dg-callers", x=MARGIN, y=middle - 18, width=_CALLERS_RIGHT - MARGIN, height=36, rx=18,
        fill="currentColor", fill_opacity=0.07, stroke="currentColor", stroke_opacity=0.3,
    )  # fmt: skip
    yield _text((MARGIN + _CALLERS_RIGHT) / 2, middle + 5, "callers", 14, anchor="middle")
    tip = _WALL_LEFT - 3
    yield _tag(
        "path", cls="dg-way", d=f"M{_n(_CALLERS_RIGHT)} {_n(middle)}H{_n(tip)}m-6 -4l6 4l-6 4",
        fill="none", stroke="currentColor", stroke_opacity=0.5, stroke_width=1.5,
    )  # fmt: skip
    yield _tag(
        "rect", cls="dg-wall", x=_WALL_LEFT, y=TOP, width=_WALL_RIGHT - _WALL_LEFT, rx=6,
        height=last.top + last.height - TOP, fill="currentColor", fill_opacity=0.09,
    )  # fmt: skip
    if last.top > TOP:  # there is room for the word
        x = (_WALL_LEFT + _WALL_RIGHT) / 2
        turned = f"rotate(-90 {_n(x)} {_n(middle)})"
        yield _text(x, middle + 4.5, "strangler", 13, anchor="middle", weight=600, transform=turned)


def _row(card: Card, bands: list[Band]) -> str:
    row = card.row
    stage = "legacy" if row is None else row.stage
    parts = [f"<title>{_safe(_told(row))}</title>"]
    parts += map(_band, sorted(bands, key=lambda band: band.kind == "copy"))
    parts.append(
        _tag("path", cls="dg-way", d=f"M{_n(_WALL_RIGHT)} {_n(card.middle)}H{_n(CARD_LEFT)}",
             stroke="currentColor", stroke_opacity=0.3, stroke_width=1.5)
    )  # fmt: skip
    parts.append(
        _tag("rect", cls="dg-card", x=CARD_LEFT, y=card.top, width=CARD_RIGHT - CARD_LEFT, height=card.height, rx=8,
             fill="currentColor", fill_opacity=0.035, stroke="currentColor", stroke_opacity=0.16)
    )  # fmt: skip
    parts.append(
        _tag("rect", cls=f"dg-fill-{stage}", x=CARD_LEFT, y=card.top, width=5, height=card.height, rx=2.5,
             fill=_COLOURS[stage])
    )  # fmt: skip
    room = (_BAR_LEFT if row is not None else CARD_RIGHT) - CARD_LEFT - 30
    name, claims = ("everything else", "what no route claims") if row is None else (row.name, row.claims)
    parts.append(_text(CARD_LEFT + 18, card.middle - 5, _fitted(name, room / 14), 14, weight=600))
    is_code = row is not None and not row.is_group
    parts.append(
        _text(
            CARD_LEFT + 18,
            card.middle + 13,
            _fitted(claims, room / 12, mono=is_code),
            12,
            family=_MONO if is_code else "",
            opacity=_FAINT,
        )
    )
    if row is not None:
        parts += _share(row, card)
    return f'<g class="dg-row dg-{stage}">{"".join(parts)}</g>'


def _share(row: Row, card: Card) -> Iterator[str]:
    """The bar, with a tick for each step of a ramp and an open one for what routes.yaml says; and both in words."""
    y = card.middle - 13
    yield _tag(
        "rect",
        cls="dg-bar",
        x=_BAR_LEFT,
        y=y,
        width=_BAR,
        height=8,
        rx=4,
        fill="currentColor",
        fill_opacity=0.13,
    )
    if row.share:
        width = max(3.0, _BAR * row.share / WHOLE)
        yield _tag(
            "rect", cls="dg-fill-extracted", x=_BAR_LEFT, y=y, width=width, height=8, rx=min(4.0, width / 2),
            fill=_COLOURS["extracted"],
        )  # fmt: skip
    for step in row.steps:
        yield _tick(y + 10, step, 3, "currentColor", "dg-step")
    if row.in_file is not None:
        yield _tick(y - 3, row.in_file, 14, _COLOURS["cutover"], "dg-line-cutover")
    about = "~" if row.routes > 1 and row.stage == "cutover" else ""
    yield _text(CARD_RIGHT - 14, y + 9, about + format_percent(row.share), 14, anchor="end", weight=600)
    if row.in_file is not None:
        told = f"routes.yaml: {format_percent(row.in_file)}"
        yield _text(CARD_RIGHT - 14, card.middle + 14, told, 11.5, anchor="end", weight=600)
    elif row.shadow:
        told = f"shadow {format_percent(row.shadow)}"
        yield _text(CARD_RIGHT - 14, card.middle + 14, told, 11.5, anchor="end", opacity=_FAINT)


def _tick(y: float, at: Percent, height: float, colour: str, cls: str) -> str:
    x = _BAR_LEFT + _BAR * at / WHOLE
    return _tag(
        "path",
        cls=cls,
        d=f"M{_n(x)} {_n(y)}v{_n(height)}",
        stroke=colour,
        stroke_width=1.5,
        stroke_opacity=0.6,
    )


def _band(band: Band) -> str:
    bend = (NODE_LEFT - CARD_RIGHT) * 0.5
    path = (
        f"M{_n(CARD_RIGHT)} {_n(band.start)}C{_n(CARD_RIGHT + bend)} {_n(band.start)} "
        f"{_n(NODE_LEFT - bend)} {_n(band.end)} {_n(NODE_LEFT)} {_n(band.end)}"
    )
    return _tag(
        "path",
        cls=f"dg-band dg-{band.kind} dg-line-{band.side}",
        d=path,
        **_stroke(band.kind, band.side, band.width),
    )


def _stroke(kind: Kind, side: Side, width: float) -> dict[str, str | float]:
    dashes: dict[str, str | float] = {"stroke_dasharray": "5 4"} if kind == "copy" else {}
    return {
        "fill": "none",
        "stroke": _COLOURS[side],
        "stroke_width": width,
        "stroke_opacity": _OPACITY[kind, side],
        **dashes,
    }


def _node(node: Node) -> str:
    middle = node.top + node.height / 2
    routes = f"{node.routes} route{'' if node.routes == 1 else 's'}"
    below = "legacy" if node.side == "legacy" else f"extracted, {routes}"
    room = NODE_RIGHT - NODE_LEFT - 34
    return (
        f'<g class="dg-node"><title>{_safe(node.name)}</title>'
        + _tag("rect", cls="dg-card", x=NODE_LEFT, y=node.top, width=NODE_RIGHT - NODE_LEFT, height=node.height, rx=8,
               fill="currentColor", fill_opacity=0.05, stroke="currentColor", stroke_opacity=0.16)
        + _tag("rect", cls=f"dg-fill-{node.side}", x=NODE_LEFT, y=node.top, width=5, height=node.height, rx=2.5,
               fill=_COLOURS[node.side])
        + _text(NODE_LEFT + 18, middle - 3, _fitted(node.name, room / 14), 14, weight=600)
        + _text(NODE_LEFT + 18, middle + 14, below, 12, opacity=_FAINT)
        + "</g>"
    )  # fmt: skip


def _legend(y: float) -> Iterator[str]:
    """What the colours and the dashes are."""
    x = CARD_LEFT
    for stage in STAGES:
        yield _tag(
            "rect", cls=f"dg-fill-{stage}", x=x, y=y - 9, width=10, height=10, rx=2.5, fill=_COLOURS[stage]
        )
        yield _text(x + 16, y, stage, 12, opacity=_FAINT)
        x += 96
    x = CARD_RIGHT
    for kind, width, words in _KINDS:
        yield _tag(
            "path",
            cls=f"dg-{kind} dg-line-extracted",
            d=f"M{_n(x)} {_n(y - 4)}h28",
            **_stroke(kind, "extracted", width),
        )
        yield _text(x + 36, y, words, 12, opacity=_FAINT)
        x += 170


def _told(row: Row | None) -> str:
    if row is None:
        return "everything else: what no route claims"
    return f"{printable(row.name)}\n{printable(row.claims, 400)}\n{row.stage}, {printable(row.extracted)}: {said(row)}"


# -- small things -----------------------------------------------------------------------------------------


def _text(
    x: float, y: float, text: str, size: float, *, weight: int = 400, anchor: str = "start",
    family: str = "", opacity: float = 1, transform: str = "",
) -> str:  # fmt: skip
    listed: dict[str, str | float] = {"x": x, "y": y, "font_size": size}
    listed |= {"font_weight": weight} if weight != 400 else {}
    listed |= {"text_anchor": anchor} if anchor != "start" else {}
    listed |= {"font_family": family} if family else {}
    listed |= {"fill_opacity": opacity} if opacity != 1 else {}
    listed |= {"transform": transform} if transform else {}
    return f"<text{_attributes(listed)}>{_safe(text)}</text>"


def _tag(name: str, *, cls: str, **attributes: str | float) -> str:
    return f"<{name}{_attributes({'class': cls} if cls else {})}{_attributes(attributes)}/>"


def _attributes(listed: dict[str, str | float] | dict[str, str]) -> str:
    return "".join(
        f" {name.replace('_', '-')}={quoteattr(value if isinstance(value, str) else _n(value))}"
        for name, value in listed.items()
    )


def _n(number: float) -> str:
    return f"{round(number, 2):g}" if number < 1e5 else str(round(number))


def _safe(text: str) -> str:
    """As text of an element. What XML 1.0 section 2.2 forbids is not printable, and is escaped before."""
    return escape("\n".join(printable(line, len(line) * 10 + 1) for line in text.split("\n")))


def _fitted(text: str, room: float, *, mono: bool = False) -> str:
    """The text cut in its middle to a width in its own size: nobody measures text here, so it is a guess on the wide
    side."""
    text = printable(text, 400)
    if _width(text, mono) <= room:
        return text
    head = _taken(text, room * 0.62, mono)
    tail = _taken(text[::-1], room - _width(head, mono) - 1, mono)[::-1]
    return f"{head}…{tail}"


def _taken(text: str, room: float, mono: bool) -> str:
    for place, character in enumerate(text):
        room -= _width(character, mono)
        if room < 0:
            return text[:place]
    return text


def _width(text: str, mono: bool) -> float:
    return sum(_wide(character, mono) for character in text)


def _wide(character: str, mono: bool) -> float:
    if east_asian_width(character) in "WF":
        return 1.05
    if mono:
        return 0.61
    if character in "MWmw@%":
        return 1.1 if character.isupper() else 0.97
    return 0.7 if character.isupper() else 0.61
