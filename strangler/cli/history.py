"""`strangler history`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table as Grid
from rich.text import Text

from strangler.cli.common import as_json_option, complain, console, places, print_json, say
from strangler.compare import printable
from strangler.cutover import ledger
from strangler.cutover.ledger import Entry, History
from strangler.cutover.past import Known, parse_moment, table_at
from strangler.cutover.views import PastRoute, past_view


@click.command(short_help="Show every change, and check the ledger.")
@click.option("--route", "name", metavar="ROUTE", help="Only the changes of this route.")
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    help="The table as it stood then: 2026-11-22T14:05, in local time, or with Z.",
)
@click.option(
    "--verify", is_flag=True, help="Check the chain of the ledger; exit code 1 when it does not hold."
)
@as_json_option
@places
def history(
    routes: Path, state: Path, name: str | None, moment: str | None, verify: bool, as_json: bool
) -> int:
    """Show who changed which route, when, from what, to what, why and on what evidence.

    The number before each entry is what `strangler rollback ROUTE --to NUMBER` takes.

    \b
    Examples:
      strangler history --route payment-read --verify
      strangler history --at 2026-11-22T14:05
    """
    if moment is not None:
        return _tell_past(ledger.read(state), moment, name, as_json)
    kept = ledger.read(state, name)
    if as_json:
        print_json(_described(kept))
    else:
        _tell(kept, verify, state)
    return 1 if verify and kept.broken else 0


def _described(kept: History) -> dict[str, object]:
    return {
        "entries": [
            {"number": number, **msgspec.to_builtins(entry)}
            for number, entry in zip(kept.numbers, kept.entries, strict=True)
        ],
        "holds": not kept.broken,
        "torn": list(kept.torn),
        "broken": list(kept.broken),
        "outside": list(kept.outside),
    }


def _tell(kept: History, verify: bool, state: Path) -> None:
    for number, entry in zip(kept.numbers, kept.entries, strict=True):
        say(_line(number, entry))
    if not kept.entries:
        say("no changes")
    for remark in (*kept.torn, *kept.broken):
        complain(remark)
    if verify:
        for remark in kept.outside:
            complain(remark)
        whole = ledger.read(state).entries
        last = f": {len(whole)} entries, the last is {whole[-1].hash[:16]}" if whole else ""
        say("the chain does not hold" if kept.broken else f"the chain holds{last}")


def _line(number: int, entry: Entry) -> str:
    why = f": {entry.why}" if entry.why else ""
    evidence = f" [evidence: {entry.evidence}]" if entry.evidence else ""
    change = f"{entry.from_} -> {entry.to}" if entry.from_ else f"{entry.to}"
    text = f"{number:>4}  {entry.at}  {entry.route}  {entry.key} {change}  {entry.who}{why}{evidence}"
    return printable(text, 2000)


def _tell_past(kept: History, moment: str, name: str | None, as_json: bool) -> int:
    now = datetime.now(UTC)
    then = parse_moment(moment, now)
    routes, number = table_at(kept, then, now)
    if name is not None:
        routes = {route: known for route, known in routes.items() if route == name}
    view = past_view(routes, then, number)
    if as_json:
        print_json(view)
        return 0
    say(f"as it stood at {view['at']}, after entry {number}")
    console().print(_grid(routes, view["routes"]))
    return 0


def _grid(routes: dict[str, Known], views: list[PastRoute]) -> Grid:
    grid = Grid("route", "stage", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("share", "shadow"):
        grid.add_column(column, justify="right")
    grid.add_column("what")
    for view in views:
        cells = (
            view["route"],
            view["stage"],
            view["share"],
            view["shadow"],
            view["definition"] or "not told",
        )
        grid.add_row(*(Text(printable(cell, 200)) for cell in cells))
    return grid
