"""`strangler diagram`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strangler.cli.common import as_json_option, places, say
from strangler.cutover import read_table, write_whole
from strangler.cutover.diagram import picture, view
from strangler.cutover.drawing import svg
from strangler.cutover.mermaid import mermaid


@click.command(short_help="Draw the migration.")
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write there, whole or not at all."
)
@as_json_option
@places
def diagram(routes: Path, state: Path, form: str, out: Path | None, as_json: bool) -> int:
    """Draw the migration: who answers what, at which share. Works with a server running or without.

    Mermaid is text that GitHub and many wikis draw; the SVG is one file that needs nothing else.

    \b
    Examples:
      strangler diagram --out migration.mmd
      strangler diagram --format svg --out migration.svg
    """
    table, _ = read_table(routes, state)
    drawn = picture(table)
    if as_json:
        text = json.dumps(view(drawn), indent=2, ensure_ascii=False) + "\n"
    else:
        text = svg(drawn) if form == "svg" else mermaid(drawn)
    if out is not None:
        write_whole(out, text.encode())
    else:
        say(text.removesuffix("\n"))
    return 0
