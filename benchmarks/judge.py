"""Medians, spreads, and whether the targets were met. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.isolation import Case
from benchmarks.load import Run
from benchmarks.scenarios import Results


@dataclass(frozen=True)
class Middle:
    """A median, with the least and the most that was seen."""

    value: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{_short(self.value)} ({_short(self.least)}–{_short(self.most)})"


def middle(values: Sequence[float]) -> Middle:
    """The median of some values and their range."""
    return Middle(median(values), min(values), max(values))


def _short(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Target:
    """One target: what was measured, what it may be, and whether it was met."""

    name: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it was."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def targets(results: Results, cases: Sequence[Case] = ()) -> list[Target]:
    """Every target that these results allow to judge."""
    found: list[Target] = []

    def ratio(name: str, scenario: str, other: str, limit: float) -> None:
        runs = results.requests.get(scenario, {})
        if "ours" in runs and other in runs:
            found.append(Target(name, _cpu(runs["ours"]) / _cpu(runs[other]), limit))

    ratio("sticky share: CPU per request, of Envoy's", "sticky", "envoy", 1.0)
    ratio("sticky share: CPU per request, of nginx's", "sticky", "nginx", 2.5)
    ratio("mirror: the gateway's CPU per request, of Envoy's", "mirror", "envoy", 1.0)
    for name in ("down", "up"):
        speeds = {
            proxy: median(s.mib_per_second for s in runs)
            for proxy, runs in results.streams.get(name, {}).items()
        }
        if {"ours", "nginx"} <= speeds.keys():
            share = speeds["ours"] / speeds["nginx"]
            found.append(Target(f"streaming {name}: throughput, of nginx's", share, 0.7, at_least=True))
    if slow := results.streams.get("slow", {}).get("ours"):
        found.append(Target("slow reader: memory growth, MiB", max(s.growth_mib for s in slow), 32.0))
    if results.routes:
        share = _cpu(results.routes["10000"]) / _cpu(results.routes["10"])
        found.append(Target("10 000 routes: CPU per request, of that with 10", share, 1.5))
    return found + isolation_targets(cases)


def isolation_targets(cases: Sequence[Case]) -> list[Target]:
    """Callers' p99 beside each bad shadow, over that without one; and failures."""
    found = []
    for shadow in dict.fromkeys(case.shadow for case in cases):
        ratios = [case.beside.p99_ms / case.alone.p99_ms for case in cases if case.shadow == shadow]
        found.append(
            Target(f"beside a shadow that is `{shadow}`: p99, of that without", median(ratios), 1.05)
        )
    if cases:
        failed = float(sum(case.beside.failed for case in cases))
        found.append(Target("beside bad shadows: requests that failed", failed, 0.0))
        found.append(
            Target("beside bad shadows: the gateway's growth, MiB", max(c.growth_mib for c in cases), 32.0)
        )
    return found


def noise(cases: Sequence[Case]) -> float:
    """How far apart two runs without any shadow are: the p99 of each over their median, at its widest."""
    alone = [case.alone.p99_ms for case in cases]
    return max(alone) / median(alone) if alone else 1.0


def _cpu(runs: Sequence[Run]) -> float:
    return median(run.cpu_us for run in runs)
