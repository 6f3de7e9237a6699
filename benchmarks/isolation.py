"""Callers beside a shadow that behaves badly: what of it do they feel?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import configs
from benchmarks.load import MIB, Paced, Peak, meanwhile, paced, rss, upload
from benchmarks.machine import free_ports, running
from benchmarks.scenarios import environment, ours, upstreams

SHADOWS = ("hang", "crawl", "reset", "deaf", "huge")
RATE = 500  # requests a second


@dataclass(frozen=True)
class Case:
    """One run beside a bad shadow, and the run without a shadow just before it."""

    shadow: str
    alone: Paced
    beside: Paced
    growth_mib: float  # of the gateway, at its highest
    observer_mib: float  # of the observer, afterwards


def run(repeat: int, seconds: float, folder: Path, step: Callable[[str], None]) -> list[Case]:
    """Each bad shadow in turn, always with a run without a shadow before it. `deaf` has 32 MB uploads beside it."""
    ports = configs.Ports(*free_ports(7))
    places = dict(zip((*SHADOWS, "good"), free_ports(len(SHADOWS) + 1), strict=True))
    command = [
        sys.executable,
        "-m",
        "benchmarks.servers",
        *(f"{name}={port}" for name, port in places.items()),
    ]
    cases = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(upstreams(folder, ports, MIB))
        stack.enter_context(running(command, places["good"], cwd=folder, env=environment()))
        proxy = stack.enter_context(ours(folder / "isolation", configs.isolation(ports, places), ports.ours))
        paced(proxy.port, "/none/", RATE, 2.0)  # warm
        for _ in range(repeat):
            for shadow in SHADOWS:
                step(f"beside {shadow}")
                uploads = shadow == "deaf"
                alone = _measure(proxy.port, "/none/", seconds, uploads)
                before = rss(proxy.observer)
                with Peak(proxy.processes) as peak:
                    beside = _measure(proxy.port, f"/{shadow}/", seconds, uploads)
                cases.append(Case(shadow, alone, beside, peak.growth, rss(proxy.observer) - before))
    return cases


def _measure(port: int, path: str, seconds: float, uploads: bool) -> Paced:
    end = meanwhile(lambda: upload(port, 32 * MIB)) if uploads else None
    try:
        return paced(port, path, RATE, seconds)
    finally:
        if end is not None:
            end()
