"""How well differences are told from noise, and how fast: ours beside a plain deepdiff, on the same pairs."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepdiff import DeepDiff
from rich.progress import track

from benchmarks.mistakes import TRUTH, UNORDERED, Answer, Document, Key, Mutation, Services
from strangler.compare import Answered, Comparison, Redactor, compare, compile_rules, fingerprint
from strangler.evidence import Observation, Probe, Releases, RouteFacts, Store, build, read


class Ours:
    """The comparison, the evidence and the report, as the observer uses them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "evidence.sqlite3"
        self._store = Store.open(self._path, random=random.Random(1))
        self._rules = compile_rules(unordered=UNORDERED)
        self._redactor = Redactor(b"benchmark", self._rules)

    def compared(self, legacy: Answer, extracted: Answer) -> Comparison:
        return self.judge(legacy.written(), extracted.written())

    def judge(self, legacy: Answered, extracted: Answered) -> Comparison:
        return compare(legacy, extracted, self._rules, self._redactor)

    def observe(
        self,
        resource: str,
        services: Services,
        pair: tuple[Answer, Answer],
        lagging: bool,
        wrong: tuple[Mutation, ...],
    ) -> None:
        legacy, extracted = pair
        first, shadow = services.moved(legacy), services.moved(extracted, lagging=lagging, wrong=wrong)
        found = self.compared(first, shadow)
        probe = None
        if services.is_probed():
            probe = Probe(self.compared(first, services.moved(legacy)).differences, found.differences)
        again = self.compared(services.moved(legacy), services.moved(extracted, wrong=wrong)).differences
        there = {fingerprint(resource, "GET", each) for each in again}
        lasting = tuple(each for each in found.differences if fingerprint(resource, "GET", each) in there)
        gone = tuple(each for each in found.differences if fingerprint(resource, "GET", each) not in there)
        observation = Observation(
            route=resource, method="GET", target="", at=0.0, releases=Releases("a", "b"), worker="benchmark",
            outcome="mismatch" if lasting else "transient" if gone else "match",
            differences=lasting, gone=gone, rules=found.used, probe=probe,
        )  # fmt: skip
        while not self._store.record(observation):
            self._store.flush()

    def reported(self) -> Counter[Key]:
        """What the report tells as a mismatch, and how often it was seen."""
        self._store.close()
        facts = [RouteFacts(name, "shadow", 0.0, 100.0, "new") for name in ("payment", "account")]
        report = build(facts, read(self._path), 0.0)
        found: Counter[Key] = Counter()
        for route in report["routes"]:
            for entry in route["fingerprints"]:
                if entry["outcome"] == "mismatch":
                    found[route["route"], entry["where"], entry["path"], entry["kind"]] += entry["count"]
        return found


_DEEPDIFF = {
    "dictionary_item_removed": "missing",
    "dictionary_item_added": "added",
    "type_changes": "type",
    "values_changed": "value",
    "iterable_item_removed": "length",
    "iterable_item_added": "length",
}


def by_deepdiff(resource: str, legacy: Answer, extracted: Answer, *, ignore_order: bool) -> set[Key]:
    """What deepdiff finds, in our words: indices collapsed, and status and headers as they stand."""
    one, two = (
        {"status": each.status, "headers": each.headers, "body": each.body} for each in (legacy, extracted)
    )
    found: set[Key] = set()
    for category, places in DeepDiff(one, two, ignore_order=ignore_order).items():
        for place in places:
            steps = re.findall(r"\[(?:'([^']*)'|(\d+))\]", str(place))
            first, *rest = steps
            path = "$" + "".join(f".{name}" if name else "[*]" for name, _ in rest)
            if first[0] == "status":
                found.add((resource, "status", "", "status"))
            elif first[0] == "headers":
                name = rest[0][0].lower()
                found.add((resource, "header", name, "encoding" if name == "content-type" else "header"))
            elif _DEEPDIFF.get(category) == "length":
                found.add((resource, "body", path.removesuffix("[*]"), "length"))
            else:
                found.add((resource, "body", path, _DEEPDIFF.get(category, category)))
    return found


@dataclass(frozen=True)
class Judged:
    """What a judge found of what there was, and what it found that there was not; `cost` is CPU µs for a pair."""

    name: str
    found: frozenset[Key]
    false: frozenset[Key]
    cost: float

    def recall(self, kind: str) -> float:
        there = {key for key in TRUTH if key[3] == kind}
        return len(there & self.found) / len(there)

    def precision(self, kind: str) -> float | None:
        told = {key for key in self.found | self.false if key[3] == kind}
        return len(told - self.false) / len(told) if told else None


def judge(documents: dict[str, list[Document]], pairs: int) -> list[Judged]:
    """Ours, and deepdiff in both ways, on the same pairs."""
    services = Services(documents, seed=4)
    theirs: dict[str, set[Key]] = defaultdict(set)
    spent: defaultdict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder))
        for resource, legacy, extracted, lagging, wrong in track(
            services.pairs(pairs), "judging", pairs, disable=not sys.stderr.isatty()
        ):
            ours.observe(resource, services, (legacy, extracted), lagging, wrong)
            one, two = services.moved(legacy), services.moved(extracted, lagging=lagging, wrong=wrong)
            written = one.written(), two.written()
            started = time.process_time()
            ours.judge(*written)
            spent["strangler"] += time.process_time() - started
            for name, ignore_order in (("deepdiff", False), ("deepdiff, ignore_order", True)):
                started = time.process_time()
                json.loads(written[0].body), json.loads(written[1].body)
                theirs[name] |= by_deepdiff(resource, one, two, ignore_order=ignore_order)
                spent[name] += time.process_time() - started
        reported = frozenset(ours.reported())
    found = {"strangler": reported, **{name: frozenset(keys) for name, keys in theirs.items()}}
    return [
        Judged(name, keys & TRUTH, keys - TRUTH, spent[name] / pairs * 1e6) for name, keys in found.items()
    ]


@dataclass(frozen=True)
class Speed:
    """CPU microseconds for one pair of about 1 KB with one difference; `same_…`: for two of the same bytes."""

    size: int
    parse: float
    ours: float
    deepdiff: float
    same_ours: float = 1.0
    same_deepdiff: float = 1.0


def speed(documents: dict[str, list[Document]], seconds: float = 2.0) -> Speed:
    document = min(documents["account"], key=lambda each: abs(len(json.dumps(each)) - 1000))
    other = copy.deepcopy(document)
    other["payments"][0]["tax"]["amount"] += 1
    one, two = json.dumps(document).encode(), json.dumps(other).encode()
    rules = compile_rules()
    redactor = Redactor(b"benchmark", rules)
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Speed(
        len(one),
        _cost(lambda: (json.loads(one), json.loads(two)), seconds),
        _cost(
            lambda: compare(Answered(200, headers, one), Answered(200, headers, two), rules, redactor),
            seconds,
        ),
        _cost(lambda: DeepDiff(json.loads(one), json.loads(two)), seconds),
        _cost(
            lambda: compare(Answered(200, headers, one), Answered(200, headers, one), rules, redactor),
            seconds,
        ),
        _cost(lambda: DeepDiff(json.loads(one), json.loads(one)), seconds),
    )


def _cost(work: Callable[[], object], seconds: float) -> float:
    """CPU time of one call, in microseconds: the least of five rounds, since noise only ever adds."""
    work()
    rounds = []
    for _ in range(5):
        started, calls = time.process_time(), 0
        while time.process_time() - started < seconds / 5:
            work()
            calls += 1
        rounds.append((time.process_time() - started) / calls * 1e6)
    return min(rounds)
