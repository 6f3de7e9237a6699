"""How well differences are told from noise, and how fast: ours beside a plain deepdiff, on the same pairs.

The answers are the shop's own, mutated in known ways at known rates, among timestamps, UUIDs, tokens, counters,
shuffled lists and a lagging replica. `python -m benchmarks.judgement --write-docs` writes docs/comparison.md.
"""

from __future__ import annotations

import copy
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from deepdiff import DeepDiff
from rich.progress import track

from benchmarks.machine import ROOT, describe
from strangler.compare import Answered, Comparison, Redactor, compare, compile_rules, fingerprint
from strangler.evidence import Observation, Probe, Releases, RouteFacts, Store, build, read
from strangler.evidence.verdict import number

DOCS = ROOT / "docs" / "comparison.md"
PAIRS = 10_000
PROBED = 0.05  # noise: 5%
LAGGING = 0.01
BEGIN = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)

Document = dict[str, Any]


@dataclass(frozen=True)
class Mutation:
    """One way in which the extracted side is wrong, in a share of the pairs of one resource."""

    resource: str
    where: str
    path: str
    kind: str
    rate: float
    change: Callable[[Any], None]


@dataclass
class Answer:
    """An answer on its way: its parts may be mutated before it is written out."""

    status: int
    headers: dict[str, str]
    body: Document

    def written(self) -> Answered:
        return Answered(self.status, tuple(self.headers.items()), json.dumps(self.body).encode())


def _set(*path: str, to: Callable[[Any], Any]) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        place: Any = answer.body
        for name in path[:-1]:
            place = place[-1] if name == "*" else place[name]
        place[path[-1]] = to(place.get(path[-1]))

    return change


def _header(name: str, value: str | None) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        answer.headers.pop(name)
        if value is not None:
            answer.headers[name] = value

    return change


def _later(text: str) -> str:
    moment = datetime.fromisoformat(text) + timedelta(hours=1)
    return moment.isoformat().replace("+00:00", "Z")


MUTATIONS = [
    Mutation("payment", "body", "$.method", "missing", 0.002, lambda answer: answer.body.pop("method")),
    Mutation("payment", "body", "$.note", "added", 0.005, _set("note", to=lambda _: "")),
    Mutation("payment", "body", "$.order_id", "type", 0.002, _set("order_id", to=str)),
    Mutation(
        "payment",
        "body",
        "$.fee.amount",
        "value",
        0.02,
        _set("fee", "amount", to=lambda fee: round(fee + 0.01, 2)),
    ),
    Mutation("payment", "body", "$.status", "value", 0.002, _set("status", to=str.upper)),
    Mutation("payment", "body", "$.taken_at", "value", 0.005, _set("taken_at", to=_later)),
    Mutation("payment", "body", "$.served_at", "value", 0.002, _set("served_at", to=_later)),
    Mutation("payment", "status", "", "status", 0.002, lambda answer: setattr(answer, "status", 500)),
    Mutation("payment", "header", "x-total", "header", 0.002, _header("X-Total", None)),
    Mutation(
        "account", "body", "$.payments", "order", 0.005, lambda answer: answer.body["payments"].reverse()
    ),
    Mutation("account", "body", "$.payments", "length", 0.002, lambda answer: answer.body["payments"].pop()),
    Mutation(
        "account",
        "body",
        "$.payments[*].tax.amount",
        "value",
        0.005,
        _set("payments", "*", "tax", "amount", to=lambda tax: tax + 1),
    ),
    Mutation(
        "account",
        "body",
        "$.payments[*].refunded",
        "type",
        0.002,
        _set("payments", "*", "refunded", to=lambda _: None),
    ),
    Mutation(
        "account",
        "header",
        "content-type",
        "encoding",
        0.002,
        _header("Content-Type", "application/json; charset=latin-1"),
    ),
]
#: What a team would have to say: the order of this list means nothing.
UNORDERED = ["$.tags"]
NOISE = {"$.served_at", "$.trace.id", "$.trace.token", "$.served"}

Key = tuple[str, str, str, str]
TRUTH: frozenset[Key] = frozenset((each.resource, each.where, each.path, each.kind) for each in MUTATIONS)


class Services:
    """Both sides: the shop's answers, and what moves by itself in them."""

    def __init__(self, documents: dict[str, list[Document]], seed: int) -> None:
        self._documents = documents
        self._random = random.Random(seed)
        self._served = 0
        self._now = BEGIN

    def pairs(self, count: int) -> Iterator[tuple[str, Answer, Answer, bool, tuple[Mutation, ...]]]:
        """Resource, both answers as they would be without time passing, whether a replica lags, and the mistakes."""
        for _ in range(count):
            resource = "payment" if self._random.random() < 0.7 else "account"
            body = self._random.choice(self._documents[resource])
            wrong = tuple(
                each for each in MUTATIONS if each.resource == resource and self._random.random() < each.rate
            )
            yield resource, self._answer(body), self._answer(body), self._random.random() < LAGGING, wrong

    def moved(self, answer: Answer, *, lagging: bool = False, wrong: Iterable[Mutation] = ()) -> Answer:
        """The answer as it is given at this moment."""
        found = copy.deepcopy(answer)
        self._served += self._random.randrange(1, 4)
        self._now += timedelta(milliseconds=self._random.randrange(1, 40))
        body = found.body
        body["served_at"] = self._now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body["trace"] = {
            "id": str(uuid.UUID(int=self._random.getrandbits(128))),
            "token": f"{self._random.getrandbits(120):030x}",
        }
        body["served"] = self._served
        body["tags"] = self._random.sample(["new", "sale", "gift", "bulky"], 4)
        if lagging:
            body["balance"] = body["balance"] - 1
        for each in wrong:
            each.change(found)
        return found

    def _answer(self, body: Document) -> Answer:
        headers = {"Content-Type": "application/json", "X-Total": "8", "Cache-Control": "no-store"}
        return Answer(200, headers, {**body, "balance": 100})

    def is_probed(self) -> bool:
        return self._random.random() < PROBED


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


@contextmanager
def shop() -> Iterator[str]:
    """The monolith on a free port of loopback."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "legacy_monolith", "--port", "0", "--database", str(Path(folder) / "shop.sqlite3")],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found is None:
                raise click.ClickException(f"the shop did not start: {line.strip()}")
            yield found[0]
        finally:
            process.terminate()
            process.wait()


def answers(address: str) -> dict[str, list[Document]]:
    """Real answers of the shop."""

    def ask(path: str) -> Document:
        with urllib.request.urlopen(address + path, timeout=10) as answer:
            found: Document = json.load(answer)
            return found

    accounts = [ask(f"/accounts/{number}/payments") for number in range(101, 181)]
    return {
        "payment": [ask(f"/payments/{number}") for number in range(1, 81)],
        "account": [each for each in accounts if len(each["payments"]) > 1],
    }


def page(judged: list[Judged], measured: Speed, pairs: int) -> str:
    """docs/comparison.md."""
    out = io.StringIO()
    kinds = sorted({each.kind for each in MUTATIONS})
    print("# How well differences are told from noise\n", file=out)
    print("*Written by `python -m benchmarks.judgement --write-docs`; do not edit by hand.*\n", file=out)
    print(_preface(pairs), file=out)
    names = [each.name for each in judged]
    print("| kind | " + " | ".join(f"{name}: recall | precision" for name in names) + " |", file=out)
    print("|---" * (1 + 2 * len(names)) + "|", file=out)
    for kind in kinds:
        cells = [f"{each.recall(kind):.2f} | {_shown(each.precision(kind))}" for each in judged]
        print(f"| {kind} | " + " | ".join(cells) + " |", file=out)
    print("| false fingerprints | " + " | ".join(f"{len(each.false)} | " for each in judged) + " |", file=out)
    for each in judged:
        if each.false:
            shown = ", ".join(f"`{key[3]} {key[2]}`" for key in sorted(each.false)[:8])
            print(
                f"\n{each.name} tells of what is no mistake: {shown}{' and more' if len(each.false) > 8 else ''}.",
                file=out,
            )
    print("\n## Speed\n", file=out)
    print(f"CPU time for one pair of {measured.size} bytes with one difference, on {_machine()}.\n", file=out)
    print("| what | µs for a pair | of parsing | pairs/s on a core |\n|---|---|---|---|", file=out)
    for name, cost in (
        ("`json.loads` of both", measured.parse),
        ("strangler, parsing included", measured.ours),
        ("deepdiff, parsing included", measured.deepdiff),
        ("strangler, two of the same bytes", measured.same_ours),
        ("deepdiff, two of the same bytes", measured.same_deepdiff),
    ):
        pairs_a_second = number(round(1e6 / cost))
        print(f"| {name} | {cost:.1f} | {cost / measured.parse:.1f} | {pairs_a_second} |", file=out)
    print("\nThe pairs above, each of which differs in five places at least:\n", file=out)
    print("| what | µs for a pair | of strangler |\n|---|---|---|", file=out)
    for each in judged:
        print(f"| {each.name} | {each.cost:.0f} | {each.cost / judged[0].cost:.0f} |", file=out)
    print("\n| target | measured | |\n|---|---|---|", file=out)
    for name, value, met in targets(judged, measured):
        print(f"| {name} | {value} | {'met' if met else '**missed**'} |", file=out)
    return out.getvalue()


def _preface(pairs: int) -> str:
    return f"""\
{number(pairs)} pairs of the shop's own answers, with {len(MUTATIONS)} mistakes of the extracted side in 0.2 % to 2 %
of the pairs of their kind of answer, among timestamps, UUIDs, tokens, a counter, a list in random order and a replica
that lags in 1 %. strangler asks one side twice for 5 % of the pairs, asks again about mismatches, and has one rule:
`unordered: [$.tags]`. deepdiff gets the same pairs, parsed. A fingerprint is found when it is told as a mismatch at
its path and of its kind; it is false when there is no such mistake. One of the mistakes is in a field that is noise: a
timestamp an hour off.
"""


def targets(judged: list[Judged], measured: Speed) -> list[tuple[str, str, bool]]:
    ours = judged[0]
    return [
        ("recall, of all kinds", f"{len(ours.found) / len(TRUTH):.2f}", ours.found == TRUTH),
        ("false fingerprints", str(len(ours.false)), not ours.false),
        (
            "cost, at most 3 × parsing both",
            f"{measured.ours / measured.parse:.2f}",
            measured.ours <= 3 * measured.parse,
        ),
        ("at least 20 000 pairs/s", number(round(1e6 / measured.ours)), measured.ours <= 50),
        _times("the same bytes", measured.same_deepdiff / measured.same_ours),
        _times("one difference", measured.deepdiff / measured.ours),
        *(_times(f"the pairs above ({each.name})", each.cost / ours.cost) for each in judged[1:]),
    ]


def _times(pairs: str, measured: float) -> tuple[str, str, bool]:
    return f"at least 100 × deepdiff, on {pairs}", f"{measured:.0f}", measured >= 100


def _machine() -> str:
    found = describe()
    return f"{found['cores']} cores of {found['processor']}, Python {found['python']}"


def _shown(share: float | None) -> str:
    return "–" if share is None else f"{share:.2f}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", type=click.IntRange(100, 1_000_000), default=PAIRS, show_default=True)
@click.option("--write-docs", is_flag=True, help="Write docs/comparison.md.")
def main(pairs: int, write_docs: bool) -> None:
    """Judge known mistakes among noise, with strangler and with deepdiff. Exit code 1 when a target is missed."""
    with shop() as address:
        documents = answers(address)
    judged = judge(documents, pairs)
    measured = speed(documents)
    text = page(judged, measured, pairs)
    if write_docs:
        DOCS.write_text(text, "utf-8")
    print(text)
    sys.exit(0 if all(met for _, _, met in targets(judged, measured)) else 1)


if __name__ == "__main__":
    main()
