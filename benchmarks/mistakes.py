"""Mistakes of known kinds at known rates, in the shop's own answers, among what moves by itself in them."""

from __future__ import annotations

import copy
import json
import random
import re
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import ROOT
from strangler.compare import Answered

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
