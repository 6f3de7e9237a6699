"""`strangler report`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from strangler.cli.common import as_json_option, console, mention_missing_evidence, places, say
from strangler.cutover import read_table, write_whole
from strangler.cutover.report import releases_on, report_on
from strangler.evidence import Releases, Report, html, junit, markdown, render_report
from strangler.routes import Table

#: Each makes the whole text of a report. `text` is apart: it knows the terminal.
FORMATS: dict[str, Callable[[Report], str]] = {
    "json": lambda found: json.dumps(found, indent=2, ensure_ascii=False) + "\n",
    "html": html,
    "markdown": markdown,
    "junit": junit,
}
_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}


@click.command(short_help="Report what the evidence says.")
@click.argument("route", required=False)
@click.option("--format", "form", type=click.Choice(["text", *FORMATS]), default="text", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write there, whole or not at all."
)
@click.option(
    "--gate", is_flag=True, help="Exit code 0 when every verdict is pass, 1 when one is fail, else 3."
)
@click.option(
    "--releases",
    metavar="LEGACY,EXTRACTED",
    help="Report on ROUTE at these releases, whichever answer now.",
)
@as_json_option
@places
def report(
    routes: Path,
    state: Path,
    route: str | None,
    form: str,
    out: Path | None,
    gate: bool,
    releases: str | None,
    as_json: bool,
) -> int:
    """Report what the evidence says: on one ROUTE, or on all. Works with a server running or without.

    \b
    Examples:
      strangler report --format json --out before.json
      strangler report --format html --out report.html
      strangler report --format junit --out report.xml --gate
      strangler report payment-read --gate && strangler share payment-read 50%
      strangler report payment-read --releases shop-7,v1 --json --out before.json
    """
    table, _ = read_table(routes, state)
    asked = None if releases is None else _releases(table, state, route, releases)
    found = report_on(table, state, route, asked)
    mention_missing_evidence(state)
    if as_json:
        form = "json"
    if out is not None:
        write_whole(out, FORMATS.get(form, plain)(cast(Report, found)).encode())
    elif form in FORMATS:
        say(FORMATS[form](cast(Report, found)).removesuffix("\n"))
    else:
        render_report(cast(Report, found), console())
    return _worst(found) if gate else 0


def plain(found: Report) -> str:
    """The text for a file: without colour."""
    sink = io.StringIO()
    render_report(found, console(sink))
    return sink.getvalue().rstrip("\n") + "\n"


def _releases(table: Table, state: Path, route: str | None, text: str) -> Releases:
    """The pair of releases that is meant. A release may have a comma in it, so those that there are come first."""
    if route is None:
        raise click.UsageError("--releases is of one route: name it before")
    for pair in reversed(releases_on(table, state, route)["pairs"]):
        named = pair["releases"]
        if f"{named['legacy']},{named['extracted']}" == text:
            return Releases(**named)
    legacy, comma, extracted = text.partition(",")
    if not comma:
        raise click.UsageError("--releases takes two, such as shop-7,v1")
    return Releases(legacy, extracted)


def _worst(found: dict[str, Any]) -> int:
    """A fail outweighs an inconclusive one; no route at all proves nothing."""
    codes = {_CODES[route["verdict"]] for route in found["routes"]}
    return 1 if 1 in codes else max(codes, default=3)
