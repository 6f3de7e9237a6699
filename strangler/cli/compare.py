"""`strangler compare`."""

from __future__ import annotations

from pathlib import Path

import click

from strangler.cli.common import as_json_option, console, places, print_json
from strangler.evidence import (
    changes_view,
    compare_reports,
    read_report,
    render_changes,
    worse_for_certain,
)


@click.command(short_help="Compare two reports.")
@click.argument("before", type=click.Path(path_type=Path), metavar="BEFORE.json")
@click.argument("after", type=click.Path(path_type=Path), metavar="AFTER.json")
@as_json_option
@places
def compare(routes: Path, state: Path, before: Path, after: Path, as_json: bool) -> int:
    """Compare two reports: which differences are new, fixed, worse, better or still there.

    Exit code 1 when something got worse, 3 when the reports cannot be compared.

    \b
    Example:
      strangler compare before.json after.json
    """
    changes = compare_reports(*(read_report(path.read_bytes(), str(path)) for path in (before, after)))
    if as_json:
        print_json(changes_view(changes))
    else:
        render_changes(changes, console())
    if worse_for_certain(changes):
        return 1
    return 0 if changes.comparable else 3
