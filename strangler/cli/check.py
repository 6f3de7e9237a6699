"""`strangler check`."""

from __future__ import annotations

from pathlib import Path

import click

from strangler.cli.common import as_json_option, places, print_json, say
from strangler.loading import load_table
from strangler.routes import Faults, Table


@click.command(short_help="Find every fault of routes.yaml.")
@as_json_option
@places
def check(routes: Path, state: Path, as_json: bool) -> int:
    """Read routes.yaml and report every fault with its line and column. Exit code 2 when there is one.

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
    if as_json:
        print_json(_described(routes, table=table))
    else:
        counted = (_count(len(table.routes), "route"), _count(len(table.upstreams), "upstream"))
        say(f"{routes}: {', '.join(counted)}, no faults")
    return 0


def _described(routes: Path, table: Table | None = None, faults: Faults | None = None) -> dict[str, object]:
    return {
        "file": str(routes),
        "faults": [
            {"line": fault.line, "column": fault.column, "message": fault.message}
            for fault in (faults.faults if faults else ())
        ],
        "routes": [route.name for route in table.routes] if table else None,
        "upstreams": list(table.upstreams) if table else None,
        "table": table.digest if table else None,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
