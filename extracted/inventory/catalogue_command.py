"""`python -m extracted.inventory catalogue` and `rebuild`: how the read model stands, and building it anew."""

import argparse
import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from extracted.inventory.bar import Bar
from extracted.inventory.database import UnusableDatabase, open_existing
from extracted.inventory.projecting import Standing, rebuild, standing

_REBUILD = """Build the catalogue anew from the history of events, beside the one that is there. Readers
see the old one until the new one is in its place, and a service that serves goes on.
Needed when the catalogue is wrong, or when a release shows more than the one before did.
Interrupted, it leaves the old one.

A catalogue is as whole as its history. What that lacks is said, and how to get it."""


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Offer the commands."""
    for name, words, more in (
        ("catalogue", "say how far the catalogue is, and whether its history is whole", None),
        ("rebuild", "build the catalogue anew from the history of events", _REBUILD),
    ):
        parser = commands.add_parser(
            name,
            help=words,
            description=more or f"{words[0].upper()}{words[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.add_argument(
            "--database", type=Path, required=True, metavar="FILE", help="the service's own SQLite database"
        )
        parser.add_argument("--json", action="store_true", help="say it as JSON, for programs")


def run_catalogue(options: argparse.Namespace) -> int:
    """Say how the catalogue stands. Raises UnusableDatabase."""
    with closing(open_existing(options.database)) as db:
        db.execute("BEGIN")  # all of it at one moment
        found = standing(db)
    if options.json:
        print(json.dumps(_shown(found), indent=2))
        return 0
    late = f"{found.behind} still to come" if found.behind else "up to date"
    print(f"{found.products} products from {found.state.events} events, {late}")
    _print_lacks(found)
    return 0


def run_rebuild(options: argparse.Namespace) -> int:
    """Build the catalogue anew. Raises UnusableDatabase; KeyboardInterrupt leaves the old one."""
    began = time.monotonic()
    bar = Bar(sys.stderr)
    try:
        with closing(open_existing(options.database)) as db:
            found = rebuild(db, bar)
    except KeyboardInterrupt:
        bar.close()
        print("python -m extracted.inventory: interrupted, the catalogue is as it was", file=sys.stderr)
        return 130
    except sqlite3.Error as error:
        bar.close()
        raise UnusableDatabase(f"cannot build the catalogue of {options.database} anew: {error}") from error
    bar.close()
    took = round(time.monotonic() - began, 1)
    if options.json:
        print(json.dumps(_shown(found) | {"seconds": took}, indent=2))
        return 0
    print(f"built anew in {took} s: {found.products} products from {found.state.events} events")
    _print_lacks(found)
    return 0


def _print_lacks(found: Standing) -> None:
    if not found.lacks:
        print("  the history is whole")
    for each in found.lacks:
        print(f"  the history is not whole: {each}")


def _shown(found: Standing) -> dict[str, object]:
    return {
        "products": found.products,
        "events": found.state.events,
        "behind": found.behind,
        "since": found.since,
        "waited_seconds": found.state.waited,
        "complete": not found.lacks,
        "lacks": found.lacks,
        "bodiless": found.holes.bodiless,
        "missing": found.holes.missing,
        "unreadable": found.state.unreadable,
    }
