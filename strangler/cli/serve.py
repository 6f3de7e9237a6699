"""`strangler serve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from strangler.cli.common import places


@click.command(short_help="Run the proxy.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=lambda: len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    show_default="one per core",
    metavar="N",
    help="Gateway processes.",
)
@places
def serve(routes: Path, state: Path, workers: int) -> int:
    """Run the proxy until SIGTERM or Ctrl-C, then answer what is in flight and leave.

    A save of routes.yaml takes effect within a second; a faulty save changes nothing and is reported.

    \b
    Example:
      strangler serve --routes routes.yaml --workers 2
    """
    # Only this command needs the supervisor and the processes it starts.
    from strangler.supervisor import serve as run_until_told  # noqa: PLC0415

    return run_until_told(routes, state, workers)
