"""Few orders of what `python -m benchmarks.shop` does with ten thousand."""

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from benchmarks.shop import USUAL, run
from benchmarks.shop_faults import plan


@pytest.mark.parametrize("seed", [7])
async def test_the_books_agree_under_load_and_faults(seed: int, tmp_path: Path) -> None:
    outcome = await run(tmp_path, 600, 30, seed)
    assert outcome.wrong() == []
    assert outcome.statuses.keys() <= {201, 202, 402, 409}
    assert outcome.statuses.total() == 600
    assert outcome.statuses[201] > 300
    assert outcome.faults["killed", "monolith"] > 0
    assert outcome.broken.total() > 0
    assert len(outcome.after.ended) == 600
    assert set(outcome.broken) <= {0, 502, 503, 504}


def test_the_same_seed_plans_the_same_faults() -> None:
    first, again = (list(islice(plan(Random(7), list(USUAL)), 50)) for _ in range(2))
    assert first == again
    assert {fault.kind for fault in first} == {"killed", "slowed", "partitioned", "answers lost", "reset"}
    assert {fault.service for fault in first} == set(USUAL)
