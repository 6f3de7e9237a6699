"""The simulated ramps: the same seed gives the same table, and the table says what it is of."""

from __future__ import annotations

import math

import pytest
from rich.progress import Progress

from benchmarks import cutover
from benchmarks.ramps import Dice, Traffic, Waits, World, ours, ranks, thresholds


def test_the_same_seed_gives_the_same_ramp() -> None:
    world = World(more_errors=0.02, begins=(25_000, 0.0))
    for way in (ours, thresholds, ranks):
        first, again = (way(world, 1, cutover.RAMP, 0, 20_000.0) for _ in range(2))
        assert first == again
    assert len({ours(world, seed, cutover.RAMP, 0, 20_000.0).seconds for seed in range(4)}) > 1


@pytest.mark.parametrize(("count", "rate"), [(1_000, 0.001), (1_000, 0.2), (100_000, 0.3), (50, 0.9)])
def test_counts_are_drawn_as_they_should_be(count: int, rate: float) -> None:
    dice = Dice(3)
    drawn = [dice.binomial(count, rate) for _ in range(2_000)]
    middle, spread = count * rate, math.sqrt(count * rate * (1 - rate))
    assert abs(sum(drawn) / len(drawn) - middle) < 5 * spread / math.sqrt(len(drawn))
    assert 0 <= min(drawn) <= max(drawn) <= count
    assert dice.binomial(10, 0.0) == dice.binomial(0, 0.5) == 0
    assert dice.binomial(10, 1.0) == 10


def test_waits_have_their_p99() -> None:
    dice, beyond, count = Dice(5), 0, 200_000
    for bucket, number in Waits(200.0, 0.5).draw(dice, count):
        beyond += number if (1.02 / 0.98) ** (bucket - 1) >= 200.0 else 0
    assert 0.008 < beyond / count < 0.012


def test_traffic_adds_up() -> None:
    traffic = Traffic(World(rate=10.0, errors=0.1, slow=2.0), 1)
    traffic.share = 30_000
    seen = traffic.slice(1_000.0)
    assert seen.count == 10_000
    assert sum(number for _, number in seen.extracted_waits) == seen.moved
    assert sum(number for _, number in seen.legacy_waits) == seen.count - seen.moved
    assert 2_700 < seen.moved < 3_300


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(cutover.FROM_A_STEP[:1])
    for name, cases in (("AT_THE_BOUND", ()), ("PERFECT", ()), ("AFTER_A_DAY", ()), ("FROM_A_STEP", few)):
        monkeypatch.setattr(cutover, name, cases)
    monkeypatch.setattr(cutover, "CASES", few)
    with Progress(disable=True) as progress:
        results = cutover.simulate(4, 1, progress)
    text = cutover.table(results, 4, 1)
    assert "6 ramps, 4 of most kinds, seed 1" in text
    assert "| regression | strangler | fixed thresholds | repeated Mann-Whitney |" in text
    assert "| 1 % of errors | " in text
    ours_took = min(each.requests for each in results["strangler", few[0]])
    assert 0 < ours_took < 20_000
