"""How large the evidence grows, and how long a report takes, after millions of observations.

`python -m benchmarks.evidence` records ten million of them into a real file.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import track

from strangler.compare import Difference, Drift
from strangler.evidence import Example, Observation, Probe, Releases, RouteFacts, Store, build, read

ROUTES = 20
KINDS = 40  # of difference, on each route
#: The targets: DESIGN and the issue it came from.
SECONDS, MEGABYTES = 1.0, 200.0


def observations(seed: int, count: int) -> list[Observation]:
    """Traffic of which 3 % differ, in one to three ways, with bodies of 4 KB in the examples."""
    drawn = random.Random(seed)
    found = []
    for _ in range(count):
        route = drawn.randrange(ROUTES)
        wrong = drawn.random() < 0.03
        differences = tuple(_difference(drawn.randrange(KINDS)) for _ in range(drawn.randrange(1, 4)))
        found.append(
            Observation(
                route=f"route-{route}",
                method="GET",
                target=f"/things/{drawn.randrange(10**9)}",
                at=1_700_000_000.0 + drawn.random() * 1e6,
                releases=Releases("2019.4", "v7"),
                outcome="mismatch" if wrong else "match",
                worker="benchmark",
                differences=differences if wrong else (),
                statuses=(200, 200),
                latency_ms=(drawn.lognormvariate(1, 1), drawn.lognormvariate(1, 1)),
                caller=drawn.getrandbits(64) or 1,
                example=Example("GET", "/things/1", "x" * 4000, "y" * 4000) if wrong else None,
                request=drawn.getrandbits(64) or 1,
                rules=frozenset({"ignore $.at"}),
                probe=Probe((), differences if wrong else ()) if drawn.random() < 0.05 else None,
            )
        )
    return found


def _difference(number: int) -> Difference:
    drift = Drift("number", number % 5) if number % 2 else None
    return Difference("body", f"$.items[*].field{number}", "value", "number", "number", "1", "2", drift)


def recorded(path: Path, count: int) -> Iterator[int]:
    """Record `count` observations and give how many there are by now."""
    pool = observations(1, min(count, 100_000))
    with Store.open(path) as store:
        for number in range(count):
            while not store.record(pool[number % len(pool)]):
                store.flush()
            if number % 10_000 == 0:
                if store.queued > 5_000:
                    store.flush()
                yield number


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--count", type=click.IntRange(1_000, 100_000_000), default=10_000_000, show_default=True)
def main(count: int) -> None:
    """Record observations, then report. Exit code 1 when a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.sqlite3"
        started, cpu = time.perf_counter(), time.process_time()
        for _ in track(recorded(path, count), "recording", count // 10_000, disable=not sys.stderr.isatty()):
            pass
        took, spent = time.perf_counter() - started, time.process_time() - cpu
        size = path.stat().st_size / 1e6
        started = time.perf_counter()
        facts = [RouteFacts(f"route-{number}", "shadow", 0.0, 100.0, "new") for number in range(ROUTES)]
        report = build(facts, read(path, bodies=False), time.time())
        reported = time.perf_counter() - started
    seen = sum(route["coverage"]["eligible"] for route in report["routes"])
    print(f"{seen} observations in {took:.0f} s, {spent / count * 1e6:.1f} µs of CPU each")
    print(
        f"the file: {size:.1f} MB (may be {MEGABYTES:.0f}); the report: {reported:.3f} s (may be {SECONDS:.0f})"
    )
    sys.exit(0 if size < MEGABYTES and reported < SECONDS else 1)


if __name__ == "__main__":
    main()
