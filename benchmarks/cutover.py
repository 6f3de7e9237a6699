"""The table in docs/cutover.md: `python -m benchmarks.cutover --write-docs` simulates the ramps and writes it.

Thousands of ramps, drawn from a seed, decided by the real gates and by two other ways of deciding (see ramps.py).
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat

import click
from rich.console import Console
from rich.progress import Progress

from benchmarks.machine import ROOT
from benchmarks.ramps import HOLD, STEPS, Outcome, Way, World, ours, ranks, thresholds
from strangler.evidence import number
from strangler.routes import Ramp

DOCS = ROOT / "docs" / "cutover.md"
BEGIN, END = (
    "<!-- simulated: python -m benchmarks.cutover --write-docs -->",
    "<!-- end of what is simulated -->",
)
DAY = 86_400.0
RAMP = Ramp(steps=STEPS, hold=HOLD)
WAYS: tuple[tuple[str, Way], ...] = (
    ("strangler", ours),
    ("fixed thresholds", thresholds),
    ("repeated Mann-Whitney", ranks),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of ramp. `part` of the ramps asked for are enough where only a median is wanted."""

    name: str
    world: World
    ramp: Ramp = RAMP
    share: int = 0
    horizon: float = DAY
    part: float = 1.0


#: Candidates exactly at one bound, which is the only one that is asked: anything else asked would only delay them.
_ALONE = replace(RAMP, match=None, errors=None, p99=None)
AT_THE_BOUND = (
    Case("match rate exactly 99.9 %", World(mismatches=0.001), replace(_ALONE, match=0.999), part=4),
    Case(
        "errors exactly 0.1 % above 0.5 %",
        World(errors=0.005, more_errors=0.001),
        replace(_ALONE, errors=0.001),
    ),
    Case("p99 exactly 1.2 times", World(slow=1.2), replace(_ALONE, p99=1.2), share=25_000),
)
_WEEK = 7 * DAY
PERFECT = tuple(
    Case(
        f"{rate:g} requests a second, {errors * 100:g} % errors on both sides",
        World(rate, errors),
        horizon=_WEEK,
    )
    for rate in (100.0, 10.0)
    for errors in (0.0, 0.005)
)
_REGRESSIONS = (
    ("1 % of errors", World(more_errors=0.01)),
    ("2 % of errors", World(more_errors=0.02)),
    ("10 % of errors", World(more_errors=0.10)),
    ("1.5 times the p99", World(slow=1.5)),
    ("0.5 % mismatches", World(mismatches=0.005)),
)
FROM_A_STEP = tuple(
    Case(name, replace(world, begins=(25_000, 0.0)), part=0.5) for name, world in _REGRESSIONS
)
AFTER_A_DAY = tuple(
    Case(name, replace(world, begins=(100_000, DAY)), horizon=2 * DAY, part=0.25)
    for name, world in _REGRESSIONS
)
CASES = (*AT_THE_BOUND, *PERFECT, *FROM_A_STEP, *AFTER_A_DAY)

Results = dict[tuple[str, Case], list[Outcome]]


def simulate(ramps: int, seed: int, progress: Progress) -> Results:
    """So many ramps of every case, decided in every way."""
    results: Results = {}
    task = progress.add_task("simulating", total=len(CASES) * len(WAYS))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for case in CASES:
            for name, way in WAYS:
                seeds = range(seed, seed + max(2, round(ramps * case.part)))
                found = pool.map(_one, repeat(way), repeat(case), seeds, chunksize=8)
                results[name, case] = list(found)
                progress.advance(task)
    return results


def _one(way: Way, case: Case, seed: int) -> Outcome:
    return way(case.world, seed, case.ramp, case.share, case.horizon)


def table(results: Results, ramps: int, seed: int) -> str:
    """The simulated part of docs/cutover.md."""
    total = number(sum(len(found) for found in results.values()))
    return "\n".join(
        [
            f"{total} ramps, {number(ramps)} of most kinds, seed {seed}; in brackets what a share may be, at 95 %. 100",
            "requests a second unless it says otherwise, p99 200 ms, waits lognormal, a copy of every request.\n",
            *_bounds(results),
            *_perfect(results),
            *_regressions(results, "A regression from the 25 % step on", FROM_A_STEP),
            *_regressions(results, "A regression after a good day at 100 %", AFTER_A_DAY),
        ]
    )


def _bounds(results: Results) -> Iterable[str]:
    yield "**False promotion**: ramps of a candidate that is *exactly* at a bound which took a step within a day.\n"
    yield _header("candidate")
    for case in AT_THE_BOUND:
        cells = []
        for name, _ in WAYS:
            found = results[name, case]
            # What begins on a step has taken one when it goes on to the next, or finishes.
            cells.append(
                _share([each.end == "finished" or (each.took_step and not case.share) for each in found])
            )
        yield _row(case.name, cells)
    yield ""


def _perfect(results: Results) -> Iterable[str]:
    yield "**A perfect candidate**: false rollbacks of the whole ramp, and the median time to 100 %.\n"
    yield _header("traffic")
    for case in PERFECT:
        cells = []
        for name, _ in WAYS:
            found = results[name, case]
            hours = [each.seconds / 3600 for each in found if each.end == "finished"]
            when = f"{statistics.median(hours):.1f} h" if hours else "never"
            cells.append(f"{_share([each.end == 'rolled back' for each in found])}; {when}")
        yield _row(case.name, cells)
    yield ""


def _regressions(results: Results, title: str, cases: Sequence[Case]) -> Iterable[str]:
    yield f"**{title}**: requests of all callers until the rollback, as median and 90th percentile.\n"
    yield _header("regression")
    for case in cases:
        yield _row(case.name, [_until(results[name, case]) for name, _ in WAYS])
    yield ""


def _until(found: list[Outcome]) -> str:
    reached = [each for each in found if each.requests or each.end != "rolled back"]
    seen = sorted(each.requests for each in reached if each.end == "rolled back")
    early = len(found) - len(reached)
    missed = len(reached) - len(seen)
    notes = [f"{early} of {len(found)} rolled back before it began"] if early else []
    if not reached:
        return f"({notes[0]})"
    if missed * 2 >= len(reached):
        notes.insert(0, f"missed in {missed} of {len(reached)}")
        return "; ".join(notes)
    if missed:
        notes.append(f"missed in {missed} of {len(reached)}")
    middle, late = seen[len(seen) // 2], seen[min(len(seen) - 1, math.ceil(0.9 * len(seen)) - 1)]
    return f"{number(middle)}, {number(late)}" + (f" ({'; '.join(notes)})" if notes else "")


def _share(found: list[bool]) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    count, hits = len(found), sum(found)
    share, z = hits / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{share * 100:.1f} % ({max(0.0, middle - half) * 100:.1f} to {min(1.0, middle + half) * 100:.1f})"


def _header(first: str) -> str:
    return _row(first, [name for name, _ in WAYS]) + "\n" + "|---" * (1 + len(WAYS)) + "|"


def _row(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


@click.command()
@click.option(
    "--ramps", type=click.IntRange(4, 100_000), default=200, show_default=True, help="Of each kind."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--write-docs", is_flag=True, help="Put the table into docs/cutover.md.")
def main(ramps: int, seed: int, write_docs: bool) -> None:
    """Simulate ramps: how often each way of deciding is wrong, and how soon it notices."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        found = table(simulate(ramps, seed, progress), ramps, seed)
    if not write_docs:
        click.echo(found)
        return
    before, _, rest = DOCS.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n\n{found}\n{END}{after}")
    click.echo(f"written: {DOCS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
