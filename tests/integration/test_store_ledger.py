"""The coverage ledger: compared plus skipped is what was eligible, to the last one, whatever happens."""

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from strangler.evidence import Evidence, Observation, Releases, Store, read

ROUTES = ["a", "b"]
RELEASES = [Releases("", ""), Releases("m1", "v1"), Releases("m1", "v2"), Releases("m1", "")]


def observation(route: str, worker: str, outcome: Any, releases: Releases) -> Observation:
    reason = "too_complex" if outcome == "skipped" else ""
    return Observation(route, "GET", "/", 1.0, releases, outcome, worker, reason)


class Ledger(RuleBasedStateMachine):
    """Gateway workers hand over, skip, die; the observer records, restarts, loses. A plain model counts along."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "evidence.sqlite3"
        self.store = Store.open(self.path)
        self.generation = 0
        self.handed: defaultdict[str, Counter[str]] = defaultdict(Counter)  # what the worker knows
        self.skipped: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self.folded: Counter[tuple[str, str]] = Counter()  # what the store was told
        self.taken: Counter[tuple[str, str]] = Counter()  # recorded or lost, per worker and route
        self.compared: Counter[str] = Counter()
        self.reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.booked: Counter[tuple[str, str]] = Counter()  # by stores that are closed
        self.workers = ["w0", "w1"]

    @rule(route=st.sampled_from(ROUTES), which=st.integers(0, 1), count=st.integers(1, 4))
    def hand_over(self, route: str, which: int, count: int) -> None:
        self.handed[self.workers[which]][route] += count

    @rule(
        route=st.sampled_from(ROUTES),
        which=st.integers(0, 1),
        name=st.sampled_from(["queue_full", "streaming"]),
    )
    def skip_in_the_gateway(self, route: str, which: int, name: str) -> None:
        self.skipped[self.workers[which]][route, name] += 1

    @rule(which=st.integers(0, 1), releases=st.sampled_from(RELEASES), route=st.sampled_from(ROUTES),
          outcome=st.sampled_from(["match", "mismatch", "transient", "skipped"]))  # fmt: skip
    def record(self, which: int, releases: Releases, route: str, outcome: str) -> None:
        worker = self.workers[which]
        if self.taken[worker, route] >= self.handed[worker][route]:
            return  # nothing of this worker is in flight
        assert self.store.record(observation(route, worker, outcome, releases))
        self.taken[worker, route] += 1
        if outcome == "skipped":
            self.reasons[route]["too_complex"] += 1
        else:
            self.compared[route] += 1

    @rule(which=st.integers(0, 1))
    def fold(self, which: int) -> None:
        worker = self.workers[which]
        counters: dict[str, dict[str, int]] = {}
        for route, count in self.handed[worker].items():
            counters.setdefault(route, {})["handed"] = count
            self.folded[worker, route] = count
        for (route, name), count in self.skipped[worker].items():
            counters.setdefault(route, {})[name] = count
        self.store.fold(worker, counters)
        self._told(worker)

    def _told(self, worker: str) -> None:
        for (route, name), count in self.skipped[worker].items():
            self.reasons[route][name] += count - self.told[worker, route, name]
            self.told[worker, route, name] = count

    @property
    def told(self) -> Counter[tuple[str, str, str]]:
        return self.__dict__.setdefault("_already_told", Counter())

    @rule(which=st.integers(0, 1))
    def observer_restart(self, which: int) -> None:
        self._lose(self.workers[which], "observer_restart")

    def _lose(self, worker: str, reason: str) -> None:
        self.store.lost(worker, dict(self.handed[worker]), reason)
        for route, count in self.handed[worker].items():
            self.folded[worker, route] = count
            gone = count - self.taken[worker, route]
            self.reasons[route][reason] += gone
            self.taken[worker, route] += gone

    @rule(which=st.integers(0, 1))
    def worker_dies(self, which: int) -> None:
        worker = self.workers[which]
        self.fold(which)
        self._lose(worker, "worker_lost")
        self.store.retire(worker)
        self.store.fold(worker, {"a": {"handed": 99, "queue_full": 99}})  # late, and already settled
        self.generation += 1
        self.workers[which] = f"w{which}.{self.generation}"

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.booked.update(self.store.booked())
        self.store = Store.open(self.path)

    @rule()
    def sums_agree(self) -> None:
        assert self.store.flush()
        evidence = read(self.path)
        booked = self.booked + Counter(self.store.booked())
        for route in ROUTES:
            outcomes = sum(booked[route, outcome] for outcome in ("match", "mismatch", "transient"))
            assert outcomes == self.compared[route]
            assert booked[route, "skipped"] == self.reasons[route]["too_complex"]
            for reason in ("too_complex", "observer_restart", "worker_lost"):
                assert booked[route, reason] == self.reasons[route][reason]
            assert booked[route, "queue_full"] == booked[route, "streaming"] == 0  # the worker's own count
            pending = sum(
                max(0, count - self.taken[worker, name])
                for (worker, name), count in self.folded.items()
                if name == route
            )
            expected = +(self.reasons[route] + Counter({"pending": pending}))
            total = evidence[route].total if route in evidence else None
            assert (total.compared if total else 0) == self.compared[route]
            assert +(total.skipped if total else Counter()) == expected
            for pair in evidence[route].pairs if route in evidence else ():
                assert pair.tally.eligible == pair.tally.compared + pair.tally.skipped.total()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.sums_agree()
            self.store.close()
            assert self.store.faults == 0
            self.folder.cleanup()


Ledger.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedger = Ledger.TestCase


RECORDER = """
import sys
from pathlib import Path
from strangler.evidence import Observation, Releases, Store
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
handed = 0
while True:
    handed += 1
    skipped = handed % 5 == 0
    store.record(Observation("a", "GET", "/", 1.0, Releases("m1", "v1"), "skipped" if skipped else "match", "w1",
                             "too_complex" if skipped else ""))
    if handed % 50 == 0:
        store.fold("w1", {"a": {"handed": handed, "queue_full": handed // 10}})
        print(handed, flush=True)
"""


def test_a_killed_writer_leaves_a_ledger_that_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    handed, refused = 0, 0
    for life in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", RECORDER.replace("w1", f"w{life}"), str(path)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for line in process.stdout:
                if int(line) >= 2_000 * (life + 1):
                    process.send_signal(signal.SIGKILL)
                    break
            alive = [int(line) for line in (line, *process.stdout) if line.endswith("\n") and line.strip()]
        last = alive[-1]
        # What the gateway's own counters say, which outlive the observer.
        with Store.open(path) as store:
            store.fold(f"w{life}", {"a": {"handed": last + 49, "queue_full": last // 10}})
            store.lost(f"w{life}", {"a": last + 49}, "observer_restart")
            store.retire(f"w{life}")
        handed += last + 49
        refused += last // 10
    tally = read(path)["a"].total
    assert tally.skipped["pending"] == 0
    assert tally.skipped["queue_full"] == refused
    assert tally.eligible == tally.compared + tally.skipped.total() == handed + refused
    assert tally.skipped["observer_restart"] > 0


def accounts(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT worker FROM account UNION ALL SELECT worker FROM counter").fetchall()
    connection.close()
    return rows


def test_retired_workers_leave_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    with Store.open(path) as store:
        for number in range(20):
            worker = f"w{number}"
            store.fold(worker, {"a": {"handed": 3, "queue_full": 2}})
            store.record(observation("a", worker, "match", RELEASES[1]))
            store.retire(worker)
    assert accounts(path) == []
    tally = read(path)["a"].total
    assert (tally.compared, dict(tally.skipped)) == (20, {"queue_full": 40, "worker_lost": 40})


def test_what_a_retired_worker_says_later_is_not_heard(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    with Store.open(path) as store:
        store.fold("w1", {"a": {"handed": 3}})
        store.retire("w1")
        store.fold("w1", {"a": {"handed": 99, "queue_full": 99}})
        store.record(observation("a", "w1", "match", RELEASES[1]))
    assert dict(read(path)["a"].total.skipped) == {"worker_lost": 3}
    assert read(path)["a"].total.compared == 0


def test_a_late_fold_of_one_worker_does_not_hide_what_another_has_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    with Store.open(path) as store:
        store.fold("w1", {"a": {"handed": 5}})
        for _ in range(5):
            store.record(observation("a", "w2", "match", RELEASES[1]))
        store.flush()
        assert read(path)["a"].total.skipped["pending"] == 5
        store.fold("w2", {"a": {"handed": 5}})
        store.flush()
        assert read(path)["a"].total.skipped["pending"] == 5


def test_what_is_handed_over_after_a_loss_is_not_lost_with_it(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    with Store.open(path) as store:
        store.fold("w1", {"a": {"handed": 10}})
        store.fold("w1", {"a": {"handed": 12}})  # read from the worker before the observer heard its greeting
        store.lost("w1", {"a": 10}, "observer_restart")
        store.fold("w1", {"a": {"handed": 13}})
        for _ in range(3):
            store.record(observation("a", "w1", "match", RELEASES[1]))
    tally = read(path)["a"].total
    assert (tally.compared, dict(tally.skipped)) == (3, {"observer_restart": 10})


def test_counters_that_are_told_twice_or_backwards_count_once(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    with Store.open(path) as store:
        for count in (3, 3, 1, 4):
            store.fold("w1", {"a": {"handed": count, "queue_full": count}})
            store.flush()
    assert dict(read(path)["a"].total.skipped) == {"queue_full": 4, "pending": 4}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_flush_means_that_it_is_in_the_file(seed: int) -> None:
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.sqlite3"
        with Store.open(path) as store:
            recorded = 0
            for _ in range(5):
                for _ in range(draw.choice([1, 255, 256, 257, 700])):
                    recorded += store.record(observation("a", "w1", "match", RELEASES[1]))
                    if draw.random() < 0.05:
                        store.fold("w1", {"a": {"handed": recorded}})
                assert store.flush()
                assert read(path)["a"].total.compared == recorded


def test_the_empty_evidence_is_a_mapping(tmp_path: Path) -> None:
    evidence: Evidence = read(tmp_path / "none")
    with pytest.raises(KeyError):
        evidence["a"]
