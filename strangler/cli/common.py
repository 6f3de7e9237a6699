"""What the commands share: their options, their way to print, and the facts they read."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from rich.console import Console

from strangler.cutover.report import has_evidence

F = TypeVar("F", bound=Callable[..., Any])

_ROUTES = click.option(
    "--routes",
    type=click.Path(path_type=Path),
    default=Path("routes.yaml"),
    show_default="./routes.yaml",
    metavar="FILE",
    help="The table of routes.",
)
_STATE = click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=Path(".strangler"),
    show_default="./.strangler",
    metavar="DIR",
    help="Where evidence and ledger are kept.",
)

#: `--json`, for every command that reads.
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def places(command: F) -> F:
    """Give a command `--routes` and `--state`."""
    return _ROUTES(_STATE(command))


def say(text: str) -> None:
    """Print one line for people."""
    click.echo(text)


def complain(text: str) -> None:
    """Print one line on standard error."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON, indented, ending in a line break."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


LEAST = 80  # columns


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `run`: rich would end the program with exit code 1, which here means no."""
        raise BrokenPipeError


def console(file: IO[str] | None = None) -> Console:
    """Where tables are printed. Colour only on a terminal, and not with NO_COLOR (rich sees to both)."""
    out = file or sys.stdout
    # A file or a pipe has no width: lines as for a wide terminal, unless COLUMNS says otherwise.
    width = None if out.isatty() or "COLUMNS" in os.environ else 120
    made = _Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    # On less a table would lose its columns, the names of the routes first. A terminal breaks lines, and loses nothing.
    made.width = max(made.width, LEAST)
    return made


def who() -> str:
    """Who gives this command, for the ledger."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this number, as in many containers
        user = f"uid-{os.getuid()}"
    return f"{user}@{os.uname().nodename}"


def mention_missing_evidence(state: Path) -> None:
    """Say so when nothing was ever kept here."""
    if not has_evidence(state):
        complain(f"strangler: no evidence in {state} yet; `strangler serve` collects it")
