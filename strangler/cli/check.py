"""`strangler check`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click

from strangler.cli.common import as_json_option, complain, places, print_json, say
from strangler.cutover import advice_on
from strangler.loading import load_table
from strangler.routes import Fault, Faults, Table


@click.command(short_help="Find every fault of routes.yaml.")
@as_json_option
@places
def check(routes: Path, state: Path, as_json: bool) -> int:
    """Read routes.yaml and report every fault with its line and column. Exit code 2 when there is one.

    Warnings tell of comparison rules that can never match, that hide everything, and that have expired; they do not
    change the exit code.

    \b
    Example:
      strangler check --routes routes.yaml
    """
    try:
        table, _ = load_table(routes)
    except Faults as faults:
        if not as_json:
            raise
        print_json(_described(routes, faults=faults))
        return 2
    warnings = advice_on(table, date.today())
    if as_json:
        print_json(_described(routes, table=table, warnings=warnings))
    else:
        for fault in warnings:
            complain(f"{routes}:{fault.line}:{fault.column}: warning: {fault.message}")
        counted = (_count(len(table.routes), "route"), _count(len(table.upstreams), "upstream"))
        told = f", {_count(len(warnings), 'warning')}" if warnings else ""
        say(f"{routes}: {', '.join(counted)}, no faults{told}")
    return 0


def _described(
    routes: Path, table: Table | None = None, faults: Faults | None = None, warnings: Sequence[Fault] = ()
) -> dict[str, object]:
    return {
        "file": str(routes),
        "faults": [_placed(fault) for fault in (faults.faults if faults else ())],
        "warnings": [_placed(fault) for fault in warnings],
        "routes": [route.name for route in table.routes] if table else None,
        "upstreams": list(table.upstreams) if table else None,
        "table": table.digest if table else None,
    }


def _placed(fault: Fault) -> dict[str, object]:
    return {"line": fault.line, "column": fault.column, "message": fault.message}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
