"""Samples of what passes, out of real evidence: judged as the report judges it, and never too often."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from strangler.compare import Difference, Drift
from strangler.cutover import read_table
from strangler.cutover.report import report_on
from strangler.cutover.standing import judged_now
from strangler.evidence import Observation, Probe, Releases, Store, StoreError
from strangler.observer.sampling import EVERY, SELDOM, Sampling
from strangler.routes import Table

TEXT = """\
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes:
  - {name: pay, match: "GET /pay/{id}", extracted: new, shadow: 100%}
  - {name: stock, match: GET /stock, extracted: new, shadow: 100%}
"""
NOW = 1_700_000_000.0
AT = Difference("body", "$.at", "value", "string", "string", "1", "2", Drift("timestamp", 1))
TOTAL = Difference("body", "$.total", "type", "number", "string", "1", '"1"')


def seen(store: Store, *differences: Difference, probe: Probe | None = None, release: str = "v1") -> None:
    observation = Observation(
        route="pay",
        method="GET",
        target="/pay/1",
        at=NOW,
        releases=Releases("old", release),
        outcome="mismatch" if differences else "match",
        worker="w",
        differences=differences,
        probe=probe,
    )
    assert store.record(observation)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    path = tmp_path / "routes.yaml"
    path.write_text(TEXT)
    return read_table(path)[0]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_what_is_judged_is_what_the_report_says(table: Table, state: Path) -> None:
    assert judged_now(table, state, NOW) == {}
    with Store.open(state / "evidence.sqlite3") as store:
        seen(store, TOTAL, release="v0")
        for _ in range(4):
            seen(store)
        for _ in range(8):
            seen(store, AT, probe=Probe((AT,), (AT,)))
        seen(store, AT, TOTAL)
    known = judged_now(table, state, NOW)["pay"]
    told = report_on(table, state, "pay")["routes"][0]["outcomes"]
    assert told == {"match": 4, "noise": 8, "accepted": 0, "transient": 0, "mismatch": 1}
    assert {name: known[-1].pair.tally.outcomes[name] for name in told} == told
    assert [each.pair.releases.extracted for each in known] == ["v0", "v1"]


def test_a_look_takes_a_sample_and_tells_what_is_explained(table: Table, state: Path) -> None:
    counts: dict[tuple[str, str], int] = {("pay", "legacy_2xx"): 1_000}
    sampling = Sampling(state, lambda: counts)
    with Store.open(state / "evidence.sqlite3") as store:
        seen(store, TOTAL)
        store.flush()
        (fingerprint,) = (each.id for each in judged_now(table, state, NOW)["pay"][0].pair.sightings)
        assert sampling.look(table, NOW) == {"pay": frozenset()}
        assert sampling.lately(NOW)["routes"] == {}
        counts = {("pay", "legacy_2xx"): 1_050}
        for _ in range(8):
            seen(store, AT, probe=Probe((AT,), (AT,)))
        for _ in range(3):
            seen(store, TOTAL)
        store.flush()
    (noise,) = sampling.look(table, NOW + 5)["pay"]
    assert noise != fingerprint
    told = sampling.lately(NOW + 5)
    assert told["routes"]["pay"]["requests_per_second"] == 10.0
    [minute] = told["routes"]["pay"]["minutes"]
    assert (minute["requests"], minute["pairs"], minute["mismatches"]) == (50, 11, 3)
    assert sampling.lately(NOW + 6) is told, "it is made once for each sample"
    assert sampling.lately(NOW + 66)["seconds"] == 0


def test_evidence_that_cannot_be_read_gives_no_sample(table: Table, state: Path) -> None:
    sampling = Sampling(state, dict)
    sampling.look(table, NOW)
    state.mkdir()
    (state / "evidence.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError):
        sampling.look(table, NOW + 5)
    assert sampling.lately(NOW + 5)["at"] == "2023-11-14T22:13:20.000Z"


def test_looks_are_as_far_apart_as_they_are_long(table: Table, state: Path) -> None:
    worked = 0.0

    def totals() -> dict[tuple[str, str], int]:
        until = time.thread_time() + worked
        while time.thread_time() < until:
            pass
        return {}

    sampling = Sampling(state, totals)
    sampling.look(table, NOW)
    assert sampling.rest == EVERY
    worked = 0.2
    sampling.look(table, NOW + 5)
    assert 0.2 <= sampling.took < 1.0
    assert sampling.rest == min(49 * sampling.took, SELDOM)
    sampling.took = 10.0
    assert sampling.rest == SELDOM < 60
