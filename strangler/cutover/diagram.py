"""The migration as a picture, before it is drawn: who answers what, at which share. Pure.

`picture` makes a value of a table; `mermaid.py` and `drawing.py` draw it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from strangler.compare import printable
from strangler.cutover.definition import claims
from strangler.routes import WHOLE, Percent, Route, Side, Stage, Table, format_percent

#: Rows that a picture has at most; more routes than that are drawn in groups.
MOST_ROWS: Final = 40
#: What the picture is called.
TITLE: Final = "The migration: who answers what"
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

Kind = Literal["answer", "copy"]


@dataclass(frozen=True, slots=True)
class Row:
    """A route, or a group of routes of one upstream at one stage.

    `share` and `shadow` are those of the route, of a group their mean. `in_file` is what routes.yaml says where its
    share could not be told there. `steps` are those of a ramp. All shares are in thousandths of a percent.
    """

    name: str
    claims: str
    stage: Stage
    extracted: str
    share: Percent
    shadow: Percent
    routes: int = 1
    is_group: bool = False
    in_file: Percent | None = None
    steps: tuple[Percent, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """From a row to a side: so much of the callers it answers, or so much of the requests is copied to it."""

    kind: Kind
    side: Side
    percent: Percent


@dataclass(frozen=True, slots=True)
class Picture:
    """What is to be drawn. The legacy side also answers what no route claims. `counts` is the routes of each stage."""

    legacy: str
    rows: tuple[Row, ...]
    counts: tuple[tuple[Stage, int], ...]

    @property
    def routes(self) -> int:
        """How many routes there are, drawn one by one or in groups."""
        return sum(count for _, count in self.counts)

    @property
    def upstreams(self) -> tuple[str, ...]:
        """The extracted upstreams, in the order in which rows name them first."""
        return tuple(dict.fromkeys(row.extracted for row in self.rows))


def picture(table: Table) -> Picture:
    """The picture of a table: each route a row, or groups of them where there are more than MOST_ROWS."""
    routes = table.routes
    counts = Counter(route.stage for route in routes)
    kept = dict(table.kept)
    rows = [_row(route, kept.get(route.name)) for route in routes]
    # The routes of one upstream beside each other, otherwise as the file has them: so fewer links cross.
    order = {name: place for place, name in enumerate(dict.fromkeys(row.extracted for row in rows))}
    ordered = sorted(rows, key=lambda row: order[row.extracted])
    return Picture(
        legacy=table.legacy,
        rows=tuple(ordered if len(rows) <= MOST_ROWS else _groups(ordered)),
        counts=tuple((stage, counts[stage]) for stage in STAGES if counts[stage]),
    )


def links(row: Row) -> list[Link]:
    """Who answers a row and who is sent copies, extracted side first. A side that gets nothing has no link."""
    found = [
        Link("answer", "extracted", row.share),
        Link("answer", "legacy", WHOLE - row.share),
        Link("copy", "extracted", row.shadow if row.share < WHOLE else 0),
        Link("copy", "legacy", row.shadow if row.share > 0 else 0),
    ]
    return [link for link in found if link.percent]


def said(row: Row) -> str:
    """The share of a row in words: `25% (routes.yaml: 50%), shadow 100%`."""
    about = "about " if row.routes > 1 and row.stage == "cutover" else ""
    in_file = f" (routes.yaml: {format_percent(row.in_file)})" if row.in_file is not None else ""
    shadow = f", shadow {format_percent(row.shadow)}" if row.shadow else ""
    return f"{about}{format_percent(row.share)}{in_file}{shadow}"


def view(drawn: Picture) -> dict[str, Any]:
    """The picture for programs. Shares are in percent; `file_share` is what routes.yaml says where it was not told."""
    return {
        "legacy": drawn.legacy,
        "routes": drawn.routes,
        "stages": dict(drawn.counts),
        "rows": [
            {
                "name": row.name,
                "claims": row.claims,
                "stage": row.stage,
                "extracted": row.extracted,
                "routes": row.routes,
                "share": row.share / 1000,
                "shadow": row.shadow / 1000,
                "file_share": None if row.in_file is None else row.in_file / 1000,
                "links": [
                    {"kind": link.kind, "side": link.side, "percent": link.percent / 1000}
                    for link in links(row)
                ],
            }
            for row in drawn.rows
        ],
    }


def counted(drawn: Picture) -> str:
    """How many routes are at which stage: `3 routes: 2 in shadow, 1 in cutover`."""
    at = {"legacy": "on the legacy side", "shadow": "in shadow", "cutover": "in cutover"}
    counts = [f"{count} {at.get(stage, stage)}" for stage, count in drawn.counts]
    number = f"{drawn.routes} route{'' if drawn.routes == 1 else 's'}"
    return f"{number}: {', '.join(counts)}" if counts else "no route yet"


def in_words(drawn: Picture) -> str:
    """The picture for who cannot see it: one sentence a row."""
    sentences = [f"{counted(drawn)}."]
    for row in drawn.rows:
        extracted, legacy = shortened(row.extracted, 60), shortened(drawn.legacy, 60)
        if row.share == WHOLE:
            answers = f"{extracted} answers"
        elif row.share == 0:
            answers = f"{legacy} answers, not yet {extracted}"
        else:
            answers = f"{extracted} answers {format_percent(row.share)} of callers, {legacy} the others"
        copies = f", {format_percent(row.shadow)} is copied to the other side" if row.shadow else ""
        file = f" (routes.yaml: {format_percent(row.in_file)})" if row.in_file is not None else ""
        sentences.append(f"{shortened(row.name, 60)}, {shortened(row.claims, 80)}: {answers}{copies}{file}.")
    return " ".join([*sentences, f"{shortened(drawn.legacy, 60)} answers everything else."])


def shortened(text: str, most: int) -> str:
    """The text on one line, its middle left out where it is longer: both ends tell names apart."""
    whole = printable(text, 4 * len(text) + 40)
    if len(whole) <= most:
        return whole
    end = most // 3
    return f"{whole[: most - end - 1]}…{whole[-end:]}"


def _row(route: Route, in_file: Percent | None) -> Row:
    return Row(
        name=route.name,
        claims=claims(route),
        stage=route.stage,
        extracted=route.extracted,
        share=route.share,
        shadow=route.shadow,
        in_file=in_file,
        steps=() if route.ramp is None else route.ramp.steps,
    )


def _groups(rows: Sequence[Row]) -> list[Row]:
    """One row for each upstream and stage, the upstreams with most routes first; the smallest ones together."""
    sizes = Counter(row.extracted for row in rows)
    ranked = [name for name, _ in sizes.most_common()]
    groups = _grouped(rows, {name: name for name in ranked})
    if len(groups) > MOST_ROWS:
        # Each upstream makes a row for each stage at most, and so do those that are drawn together.
        own = ranked[: MOST_ROWS // len(STAGES) - 1]
        others = f"{len(ranked) - len(own)} others"
        groups = _grouped(rows, {name: name for name in own}, others)
    return groups


def _grouped(rows: Sequence[Row], names: dict[str, str], others: str = "") -> list[Row]:
    members: defaultdict[tuple[str, Stage], list[Row]] = defaultdict(list)
    for row in rows:
        members[names.get(row.extracted, others), row.stage].append(row)
    order = [*names, others]
    return [
        _group(name, stage, members[name, stage])
        for name in order
        for stage in STAGES
        if members[name, stage]
    ]


def _group(name: str, stage: Stage, rows: Sequence[Row]) -> Row:
    shares = sorted(row.share for row in rows)
    span = f", {format_percent(shares[0])} to {format_percent(shares[-1])}" if shares[0] < shares[-1] else ""
    kept = sum(row.in_file is not None for row in rows)
    told = f", {kept} not as in routes.yaml" if kept else ""
    return Row(
        name=f"{name}: {stage}",
        claims=f"{len(rows)} route{'' if len(rows) == 1 else 's'}{span}{told}",
        stage=stage,
        extracted=name,
        share=_mean(shares),
        shadow=_mean([row.shadow for row in rows]),
        routes=len(rows),
        is_group=True,
    )


def _mean(shares: Sequence[Percent]) -> Percent:
    """The mean in whole percent: 0% and 100% only where all of them are."""
    if min(shares) == max(shares):
        return shares[0]
    percent = WHOLE // 100
    return min(max(round(sum(shares) / len(shares) / percent), 1), 99) * percent
