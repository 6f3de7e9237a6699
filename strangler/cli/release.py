"""`strangler release`."""

from __future__ import annotations

from pathlib import Path

import click

from strangler.cli.common import places, say, who
from strangler.cutover import set_release


@click.command(short_help="Say which release a service is now.")
@click.argument("name", metavar="ROUTE|UPSTREAM")
@click.argument("version")
@click.option("--why", default="", metavar="TEXT", help="The reason, for the ledger.")
@places
def release(routes: Path, state: Path, name: str, version: str, why: str) -> int:
    """Say that VERSION of an upstream, or of the extracted side of a route, answers from now on.

    For services whose answers do not say so themselves (X-Release). Evidence is kept per pair of releases: that of
    the new one begins with nothing. A running proxy takes it up within a second.

    \b
    Examples:
      strangler release payments v2
      strangler release route:payment-read 2026-11-24 --why 'rounding mended'
    """
    entry = set_release(routes, state, name, version, who=who(), why=why)
    if entry is None:
        say(f"{name}: the release is {version} already")
        return 0
    say(f"{entry.route}: release {entry.from_ or 'unknown'} -> {entry.to}; evidence begins anew")
    return 0
