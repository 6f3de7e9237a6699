"""The picture as Mermaid text, for a README or a pull request that draws it (https://mermaid.js.org). Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from strangler.cutover.diagram import TITLE, Link, Picture, Row, counted, links, said, shortened
from strangler.routes import WHOLE, Stage, format_percent

#: What stands in a label as it is. Everything else in ASCII would be HTML, Markdown, an icon, a formula or a directive
#: to one version of Mermaid or another, and is written as the number of its character.
_PLAIN: Final = re.compile("[^\\w\\s/,.(){}\u0080-\U0010ffff-]")
#: At the beginning of a label: a list, to Markdown.
_LIST: Final = re.compile(r"^(\d+)([.)])|^(-)")
#: A formula and an icon, which no number hides: they are looked for when the numbers are characters again.
_SPLIT: Final = re.compile(r"\$(?=\$)|\bfa[a-z]?(?=:)")
_JOINER: Final = "\u2060"  # takes no room

_NAME: Final = 48
_CLAIMS: Final = 64
#: Fill, line and text of each stage: readable on a light page and on a dark one.
_COLOURS: Final[dict[Stage, tuple[str, str, str]]] = {
    "legacy": ("#eceff3", "#7b8794", "#1f2933"),
    "shadow": ("#e6e8fb", "#5b67c7", "#1f2933"),
    "cutover": ("#fdeecf", "#b7791f", "#1f2933"),
    "extracted": ("#d5f2e8", "#178f6e", "#1f2933"),
}
#: The widths of a link in pixels, by the share that it carries.
_THICK, _THIN = 8, 1


def mermaid(drawn: Picture) -> str:
    """The picture as a flowchart, ending in a line break."""
    return "\n".join(_lines(drawn)) + "\n"


def _lines(drawn: Picture) -> Iterator[str]:
    yield "flowchart LR"
    yield f"    accTitle: {TITLE}"
    yield f"    accDescr: {counted(drawn)}"
    yield '    callers(["callers"]) --> strangler[["strangler"]]'
    numbers = {name: f"u{number}" for number, name in enumerate(drawn.upstreams, 1)}
    widths: defaultdict[int, list[int]] = defaultdict(list)
    number = 1
    for index, row in enumerate(drawn.rows, 1):
        yield f"    strangler --> r{index}[{_row(row)}]:::{row.stage}"
        number += 1
        for link in links(row):
            yield f"    r{index} {_link(link)} {numbers[row.extracted] if link.side == 'extracted' else 'legacy'}"
            if link.kind == "answer":
                widths[_width(link)].append(number)
            number += 1
        if (
            not row.share and not row.shadow
        ):  # nothing leads to its upstream yet, which is placed beside it all the same
            yield f"    r{index} ~~~ {numbers[row.extracted]}"
            number += 1
    yield '    strangler --> rest["everything else"]:::legacy --> legacy'
    yield f"    legacy[{_upstream(drawn.legacy)}]:::legacy"
    for name, identity in numbers.items():
        yield f"    {identity}[{_upstream(name)}]:::extracted"
    for stage, (fill, line, text) in _COLOURS.items():
        yield f"    classDef {stage} fill:{fill},stroke:{line},color:{text}"
    for width, places in sorted(widths.items()):
        yield f"    linkStyle {','.join(map(str, places))} stroke-width:{width}px"


def _row(row: Row) -> str:
    lines = _escaped(shortened(row.name, _NAME)), _escaped(shortened(row.claims, _CLAIMS)), said(row)
    return '"' + "<br/>".join(lines) + '"'


def _link(link: Link) -> str:
    percent = format_percent(link.percent)
    if link.kind == "answer":
        return f'-->|"{percent}"|'
    return '-.->|"copy"|' if link.percent == WHOLE else f'-.->|"copy of {percent}"|'


def _width(link: Link) -> int:
    return _THIN + round((_THICK - _THIN) * link.percent / WHOLE)


def _upstream(name: str) -> str:
    return f'"{_escaped(shortened(name, _NAME))}"'


def _escaped(text: str) -> str:
    text = _SPLIT.sub(lambda found: found[0] + _JOINER, text)
    text = _PLAIN.sub(lambda found: f"#{ord(found[0])};", text)
    return _LIST.sub(lambda found: f"{found[1] or ''}#{ord(found[2] or found[3])};", text)
