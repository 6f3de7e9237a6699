"""`strangler history`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from strangler.cli.common import as_json_option, complain, places, print_json, say
from strangler.compare import printable
from strangler.cutover import ledger
from strangler.cutover.ledger import Entry, History


@click.command(short_help="Show every change, and check the ledger.")
@click.option("--route", "name", metavar="ROUTE", help="Only the changes of this route.")
@click.option(
    "--verify", is_flag=True, help="Check the chain of the ledger; exit code 1 when it does not hold."
)
@as_json_option
@places
def history(routes: Path, state: Path, name: str | None, verify: bool, as_json: bool) -> int:
    """Show who changed which route, when, from what, to what, why and on what evidence.

    \b
    Example:
      strangler history --route payment-read --verify
    """
    kept = ledger.read(state, name)
    if as_json:
        print_json(_described(kept))
    else:
        _tell(kept, verify)
    return 1 if verify and kept.broken else 0


def _described(kept: History) -> dict[str, object]:
    return {
        "entries": [msgspec.to_builtins(entry) for entry in kept.entries],
        "holds": not kept.broken,
        "torn": list(kept.torn),
        "broken": list(kept.broken),
        "outside": list(kept.outside),
    }


def _tell(kept: History, verify: bool) -> None:
    for entry in kept.entries:
        say(_line(entry))
    if not kept.entries:
        say("no changes")
    for remark in (*kept.torn, *kept.broken):
        complain(remark)
    if verify:
        for remark in kept.outside:
            complain(remark)
        say("the chain does not hold" if kept.broken else "the chain holds")


def _line(entry: Entry) -> str:
    why = f": {entry.why}" if entry.why else ""
    evidence = f" [evidence: {entry.evidence}]" if entry.evidence else ""
    text = f"{entry.at}  {entry.route}  {entry.key} {entry.from_} -> {entry.to}  {entry.who}{why}{evidence}"
    return printable(text, 2000)
