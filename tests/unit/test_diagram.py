"""The migration as a picture, against golden files in tests/cases/diagram/ and against hostile names.

After a change that is meant, write them anew: `python -m tests.unit.test_diagram`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.compare import fault
from strangler.cutover.diagram import (
    MOST_ROWS,
    Link,
    Picture,
    counted,
    in_words,
    links,
    picture,
    said,
    shortened,
)
from strangler.cutover.drawing import svg
from strangler.cutover.layout import TOP, layout
from strangler.cutover.mermaid import mermaid
from strangler.routes import WHOLE, Match, PathPattern, Percent, Ramp, Route, Table, parse

CASES = Path(__file__).parent.parent / "cases/diagram"
SHOP = replace(
    parse((CASES / "shop.yaml").read_bytes(), file="shop.yaml", check_rule=fault),
    kept=(("stock-read", 50_000),),
)
SVG = "{http://www.w3.org/2000/svg}"


def route(
    name: str, extracted: str = "payments", share: Percent = 0, shadow: Percent = 0, path: str = "/x"
) -> Route:
    return Route(name, Match(PathPattern(path, ())), extracted, share, shadow)


def table(*routes: Route, kept: tuple[tuple[str, Percent], ...] = (), legacy: str = "monolith") -> Table:
    return replace(SHOP, routes=routes, kept=kept, legacy=legacy)


def many(count: int, upstreams: int) -> Table:
    """Routes at every stage, with every shadow, of so many upstreams."""
    shares = (0, 0, 1_000, 25_000, 99_900, WHOLE)
    return table(
        *(
            route(f"r{n}", f"svc-{n * 7 % upstreams}", shares[n % 6], (0, WHOLE)[n // 2 % 2], f"/r{n}/{{id}}")
            for n in range(count)
        )
    )


GOLDEN = {
    "shop.mmd": lambda: mermaid(picture(SHOP)),
    "shop.svg": lambda: svg(picture(SHOP)),
    "many.mmd": lambda: mermaid(picture(many(500, 30))),
    "none.svg": lambda: svg(picture(table()), alone=False),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_picture_is_as_it_was(name: str) -> None:
    assert GOLDEN[name]() == (CASES / name).read_text(encoding="utf-8")


# --- what is drawn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "shadow", "expected"),
    [
        (0, 0, [("answer", "legacy", 100)]),
        (0, 10, [("answer", "legacy", 100), ("copy", "extracted", 10)]),
        (25, 0, [("answer", "extracted", 25), ("answer", "legacy", 75)]),
        (
            25,
            100,
            [
                ("answer", "extracted", 25),
                ("answer", "legacy", 75),
                ("copy", "extracted", 100),
                ("copy", "legacy", 100),
            ],
        ),
        (100, 10, [("answer", "extracted", 100), ("copy", "legacy", 10)]),
    ],
)
def test_a_row_is_linked_to_who_answers_and_to_who_is_sent_copies(
    share: int, shadow: int, expected: list[tuple[str, str, int]]
) -> None:
    (row,) = picture(table(route("r", share=share * 1000, shadow=shadow * 1000))).rows
    assert [(each.kind, each.side, each.percent // 1000) for each in links(row)] == expected


def test_the_routes_of_one_upstream_stand_beside_each_other() -> None:
    drawn = picture(SHOP)
    assert [row.name for row in drawn.rows] == [
        *("payment-read", "account-payments", "order-read", "stock-read", '<script>&"stock"', "find"),
    ]
    assert drawn.upstreams == ("payments", "inventory", "search")
    assert counted(drawn) == "6 routes: 1 on the legacy side, 1 in shadow, 3 in cutover, 1 extracted"


def test_a_share_that_the_file_was_not_told_shows_both() -> None:
    (row,) = (row for row in picture(SHOP).rows if row.name == "stock-read")
    assert said(row) == "5% (routes.yaml: 50%)"
    assert "5% (routes.yaml: 50%)" in mermaid(picture(SHOP))
    assert ">routes.yaml: 50%</text>" in svg(picture(SHOP))


def test_who_cannot_see_the_picture_is_told_all_of_it() -> None:
    root = ElementTree.fromstring(svg(picture(SHOP)))
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "The migration: who answers what"
    assert root[1].tag == f"{SVG}desc"
    assert root[1].text == in_words(picture(SHOP))
    assert (
        "account-payments, GET /accounts/{account_id:[0-9]+}/payments: payments answers 25% of callers, "
        "monolith the others, 100% is copied to the other side." in in_words(picture(SHOP))
    )
    assert in_words(picture(SHOP)).endswith("monolith answers everything else.")
    assert in_words(picture(table())) == "no route yet. monolith answers everything else."


def test_up_to_forty_routes_are_drawn_one_by_one() -> None:
    assert [row.routes for row in picture(many(MOST_ROWS, 5)).rows] == [1] * MOST_ROWS


def test_more_are_drawn_in_groups_by_upstream_and_stage() -> None:
    drawn = picture(many(60, 2))
    assert [(row.name, row.claims) for row in drawn.rows] == [
        ("svc-0: legacy", "5 routes"),
        ("svc-0: shadow", "5 routes"),
        ("svc-0: cutover", "20 routes, 1% to 99.9%"),
        ("svc-1: legacy", "5 routes"),
        ("svc-1: shadow", "5 routes"),
        ("svc-1: cutover", "10 routes"),
        ("svc-1: extracted", "10 routes"),
    ]
    assert [row.share for row in drawn.rows] == [0, 0, 50_000, 0, 0, 25_000, WHOLE]
    assert drawn.routes == 60


@pytest.mark.parametrize("upstreams", [1, 30, 500])
def test_five_hundred_routes_are_forty_rows_at_most_and_none_is_forgotten(upstreams: int) -> None:
    drawn = picture(many(500, upstreams))
    assert len(drawn.rows) <= MOST_ROWS
    assert sum(row.routes for row in drawn.rows) == 500
    assert len(mermaid(drawn)) < 50_000  # more, Mermaid refuses to draw
    if upstreams == 500:
        assert drawn.upstreams[-1] == "491 others"


def test_a_mean_never_says_that_all_have_moved_or_none() -> None:
    rows = [route(f"a{n}", share=WHOLE - 1) for n in range(21)] + [
        route(f"b{n}", share=WHOLE - 2) for n in range(20)
    ]
    (row,) = picture(table(*rows)).rows
    assert (row.share, row.claims) == (99_000, "41 routes, 99.998% to 99.999%")


def test_what_is_not_in_the_file_is_counted_in_a_group() -> None:
    rows = [route(f"r{n}", share=5_000) for n in range(41)]
    (row,) = picture(table(*rows, kept=(("r1", 9_000), ("r2", 9_000)))).rows
    assert row.claims == "41 routes, 2 not as in routes.yaml"


def test_a_long_name_keeps_both_ends() -> None:
    assert shortened("payment-read", 12) == "payment-read"
    assert shortened("the-payments-of-an-account-by-month", 20) == "the-payments-…-month"
    assert len(shortened("x" * 500, 20)) == 20


# --- where it stands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drawn", [picture(SHOP), picture(table()), picture(many(40, 40)), picture(many(500, 30))]
)
def test_nothing_overlaps_and_every_band_ends_inside_its_upstream(drawn: Picture) -> None:
    placed = layout(drawn)
    for one, other in pairwise(placed.cards):
        assert one.top + one.height < other.top
    for upper, lower in pairwise(placed.nodes):
        assert upper.top + upper.height < lower.top
    assert placed.nodes[0].top >= TOP
    assert placed.nodes[-1].top + placed.nodes[-1].height <= placed.bottom < placed.height
    nodes = {(node.side, node.name): node for node in placed.nodes}
    for band in placed.bands:
        row = placed.cards[band.card].row
        name = row.extracted if row is not None and band.side == "extracted" else drawn.legacy
        node = nodes[band.side, name]
        assert node.top <= band.end - band.width / 2
        assert band.end + band.width / 2 <= node.top + node.height


def test_a_band_is_as_wide_as_its_share() -> None:
    placed = layout(picture(table(route("r", share=25_000, shadow=WHOLE))))
    widths = {(band.kind, band.side): band.width for band in placed.bands if band.card == 0}
    assert widths == {
        ("answer", "extracted"): 4.5,
        ("answer", "legacy"): 13.5,
        ("copy", "extracted"): 1.5,
        ("copy", "legacy"): 1.5,
    }


# --- whatever the names say ------------------------------------------------------------------------------

HOSTILE = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        [
            "</text><script>alert(1)</script>",
            "]]>",
            '" onload="alert(1)',
            "&#x3c;b&#x3e;",
            "%%{init: {'securityLevel': 'loose'}}%%",
            '"]:::x --> y["',
            "1. list",
            "$$x^2$$",
            "fa:fa-car",
            "`code`",
            "#quot;",
            "\x1b[2J\u202e\u2028\ud800",
            "W" * 100,
            "日本語" * 30,
        ]
    ),
)
ROUTES = st.lists(
    st.builds(
        lambda name, path, extracted, share, shadow, steps: replace(
            route(name, extracted, share, shadow, path), ramp=Ramp(steps=(steps,))
        ),
        HOSTILE,
        HOSTILE,
        HOSTILE,
        st.sampled_from([0, 1, 50_000, WHOLE]),
        st.sampled_from([0, 1, WHOLE]),
        st.integers(1, WHOLE),
    ),
    max_size=50,
)
TABLES = st.builds(
    lambda routes, legacy: table(*routes, kept=tuple((each.name, 7) for each in routes[:2]), legacy=legacy),
    ROUTES,
    HOSTILE,
)
TAGS = {"svg", "title", "desc", "style", "rect", "text", "path", "g"}
ATTRIBUTES = {
    *("viewBox", "width", "height", "role", "class", "x", "y", "rx", "d", "transform", "text-anchor"),
    *("fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray"),
    *("font-family", "font-size", "font-weight"),
}


@settings(deadline=None)
@given(TABLES)
def test_a_drawing_is_xml_without_a_foreign_element(given: Table) -> None:
    drawn = picture(given)
    for alone in (True, False):
        root = ElementTree.fromstring(svg(drawn, alone=alone))
        elements = list(root.iter())
        assert {each.tag.removeprefix(SVG) for each in elements} <= TAGS
        assert {name for each in elements for name in each.attrib} <= ATTRIBUTES
        assert len(root.findall(f"{SVG}style")) == alone
        assert len(root.findall(f"{SVG}g")) == len(drawn.rows) + 1 + len(drawn.upstreams) + 1


LABEL = r'"(?:[^"#\n&<>`\[\]%]|<br/>|#\d+;|\d%)*"'
KNOWN = (
    r"accTitle: [\w :]+",
    r"accDescr: [\w ,:]+",
    r'callers\(\["callers"\]\) --> strangler\[\["strangler"\]\]',
    rf"strangler --> r\d+\[{LABEL}\]:::\w+",
    r'strangler --> rest\["everything else"\]:::legacy --> legacy',
    r'r\d+ (?:-->|-\.->)\|"(?:copy|(?:copy of )?[\d.]+%)"\| (?:u\d+|legacy)',
    r"r\d+ ~~~ u\d+",
    rf"(?:u\d+|legacy)\[{LABEL}\]:::\w+",
    r"classDef \w+ fill:#\w+,stroke:#\w+,color:#\w+",
    r"linkStyle [\d,]+ stroke-width:\dpx",
)
LINES = re.compile(f"    (?:{'|'.join(KNOWN)})")


@settings(deadline=None)
@given(TABLES)
def test_mermaid_text_is_nothing_but_the_lines_it_should_be(given: Table) -> None:
    text = mermaid(picture(given))
    first, *lines = text.removesuffix("\n").split("\n")
    assert first == "flowchart LR"
    assert [line for line in lines if not LINES.fullmatch(line)] == []
    assert not re.search(r"%%|\$\$|\bfa[a-z]?:", text)


def test_the_widths_of_links_are_given_to_the_links_that_carry_them() -> None:
    """Mermaid numbers links in the order of the text; what a `linkStyle` names must be an answer of that width."""
    drawn = picture(many(40, 5))
    lines = mermaid(drawn).splitlines()
    found = [arrow for line in lines for arrow in re.findall(r"-->(?:\|\"([\d.]+)%\"\|)?|-\.->|~~~", line)]
    for numbers, width in re.findall(r"linkStyle ([\d,]+) stroke-width:(\d)px", "\n".join(lines)):
        assert {1 + round(7 * float(found[int(n)]) / 100) for n in numbers.split(",")} == {int(width)}
    answers: list[Link] = [link for row in drawn.rows for link in links(row) if link.kind == "answer"]
    styled = [
        n for numbers in re.findall(r"linkStyle ([\d,]+)", "\n".join(lines)) for n in numbers.split(",")
    ]
    assert len(styled) == len(answers)


if __name__ == "__main__":
    for name, draw in GOLDEN.items():
        (CASES / name).write_text(draw(), encoding="utf-8")
