"""Reports and changes as text for a terminal, in colour only where the console has it.

Nothing is cut to fit: values fold, and a path stands on a line of its own, whole, so that it can be found
and copied. Everything is escaped again here, because a report may come from a file of somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from strangler.compare import printable
from strangler.evidence.changes import Change, Changes, Seen
from strangler.evidence.shape import FingerprintEntry, Report, RouteReport
from strangler.evidence.verdict import number
from strangler.evidence.words import (
    LATENCY,
    SUMMARY,
    TEXT_LIMIT,
    example,
    facts,
    latency,
    place,
    rate_shown,
    seen,
    summary,
)

#: How much of an example value is shown here; the JSON report has up to 200 characters.
_VALUE: Final = 120

_VERDICT_STYLE: Final = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}
_SEVERITY_STYLE: Final = {"breaking": "red", "value": "yellow", "additive": "cyan"}


def render_report(report: Report, console: Console) -> None:
    """Print a report: one line per route, then each route in full."""
    window = report["window"]
    _line(console, ("Report of ", ""), (report["generated_at"], "bold"))
    _line(console, (f"exchanges from {window['since']} to {window['until']}", "dim"))
    if not report["routes"]:
        _line(console, ("routes.yaml has no route: there is nothing to report on", ""))
        return
    console.print(_summary(report["routes"]))
    for route in report["routes"]:
        _route(console, route)


def render_changes(changes: Changes, console: Console) -> None:
    """Print what changed between two reports, worst news first."""
    for reason in changes.why_not:
        _line(console, ("not comparable: ", "bold yellow"), (reason, ""))
    if changes.routes:
        console.print(_routes_before_and_after(changes))
    for title, style, found in (
        ("new", "bold red", changes.new),
        ("worse", "bold red", changes.worse),
        ("persisting", "bold yellow", changes.persisting),
        ("not seen again, but too few pairs to call it fixed", "bold yellow", changes.unseen),
        ("better", "bold green", changes.better),
        ("fixed", "bold green", changes.fixed),
    ):
        _changes(console, title, style, found)
    _line(console, (_in_short(changes), "bold"))


# -- a report ---------------------------------------------------------------------------------------------


def _summary(routes: Sequence[RouteReport]) -> Table:
    table = _table(*SUMMARY)
    for route in routes:
        name, stage, share, verdict, *counts = summary(route)
        style = _VERDICT_STYLE[route["verdict"]]
        table.add_row(_text(name, "bold"), _text(stage), share, _text(verdict, style), *counts)
    return table


def _route(console: Console, route: RouteReport) -> None:
    console.print()
    verdict = (route["verdict"], _VERDICT_STYLE[route["verdict"]])
    _line(console, (route["route"], "bold"), (": ", ""), verdict)
    for reason in route["reasons"]:
        _indented(console, Text.assemble("- ", _text(reason)), 2)
    _indented(console, _facts(route), 2)
    if rows := latency(route):
        _indented(console, _latency(rows), 2)
    for entry in route["fingerprints"]:
        console.print()
        _fingerprint(console, entry, seen(entry))


def _facts(route: RouteReport) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in facts(route):
        table.add_row(label, _text(text))
    return table


def _latency(rows: Iterable[Sequence[str]]) -> Table:
    table = _table(*LATENCY)
    for row in rows:
        table.add_row(*row)
    return table


def _fingerprint(console: Console, entry: FingerprintEntry, count: str) -> None:
    severity = (entry["severity"], _SEVERITY_STYLE[entry["severity"]])
    _line(
        console, ("  ", ""), severity, (f"  {entry['kind']}  ", ""), (place(entry), "bold"),
        (f"  {count}  ", ""), (entry["id"], "dim"),
    )  # fmt: skip
    target, legacy, extracted = example(entry)
    if target:
        _line(console, (f"    {target}", "dim"))
    left = _side("legacy", entry["legacy"], legacy)
    right = _side("extracted", entry["extracted"], extracted)
    if len(left) + len(right) + 5 <= console.width - 4:
        _indented(console, Text("  |  ", "dim").join([left, right]), 4)
    else:  # long values are easier to compare one above the other
        _indented(console, left, 4)
        _indented(console, right, 4)


def _side(side: str, value_class: str, value: str) -> Text:
    shown = "" if value == value_class else printable(value, _VALUE)
    return Text.assemble((f"{side} ", "dim"), _text(value_class), ("  " if shown else ""), (shown, "bold"))


# -- changes ----------------------------------------------------------------------------------------------


def _routes_before_and_after(changes: Changes) -> Table:
    table = _table("route", "releases", "verdict", "matching", "")
    styles = {"worse": "bold red", "better": "bold green", "same": "dim"}
    for change in changes.routes:
        before, after = change.before, change.after
        old, new = before["match_rate"]["estimate"], after["match_rate"]["estimate"]
        table.add_row(
            _text(change.route, "bold"),
            _text(_before_and_after(before["releases"]["extracted"], after["releases"]["extracted"])),
            _text(_before_and_after(before["verdict"], after["verdict"])),
            _text(_before_and_after(rate_shown(old), rate_shown(new))),
            _text(change.direction, styles[change.direction]),
        )
    return table


def _before_and_after(before: str, after: str) -> str:
    before, after = before or "unknown", after or "unknown"
    return before if before == after else f"{before} → {after}"


def _changes(console: Console, title: str, style: str, found: Sequence[Change]) -> None:
    if not found:
        return
    _line(console, (f"{title}: {number(len(found))}", style))
    for change in found:
        count = f"{change.route}: {_rate(change.before)} → {_rate(change.after)}"
        _fingerprint(console, change.entry, count)
    console.print()


def _rate(seen: Seen) -> str:
    return f"{number(seen.count)} of {number(seen.pairs)}"


def _in_short(changes: Changes) -> str:
    counts = [
        ("new", changes.new),
        ("worse", changes.worse),
        ("persisting", changes.persisting),
        ("not seen again", changes.unseen),
        ("better", changes.better),
        ("fixed", changes.fixed),
    ]
    told = ", ".join(f"{len(found)} {name}" for name, found in counts if found or name in {"new", "fixed"})
    return f"{told}; {'it got worse' if changes.got_worse else 'nothing got worse'}"


# -- small things -----------------------------------------------------------------------------------------


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index > 0)
    return table


def _text(value: str, style: str = "") -> Text:
    return Text(printable(value, TEXT_LIMIT), style)


def _line(console: Console, *parts: tuple[str, str]) -> None:
    """One line that is never folded or cut, however narrow the console."""
    text = Text.assemble(*((printable(part, TEXT_LIMIT), style) for part, style in parts))
    console.print(text, soft_wrap=True)


def _indented(console: Console, content: Table | Text, columns: int) -> None:
    console.print(Padding(content, (0, 0, 0, columns), expand=False))
