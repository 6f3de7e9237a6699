"""What the tests of the commands share: a table, evidence, and what a command did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from strangler.compare import Difference
from strangler.evidence import Example, Observation, Outcome, Releases, Store

TEXT = """\
version: 1
identity: [header:x-user-id, cookie:session]
trust: [10.0.0.0/8]
upstreams:
  monolith: {url: http://127.0.0.1:8001}
  payments: {url: http://127.0.0.1:8002}
legacy: monolith
routes:
  - name: read
    match: GET /payments/{id}
    extracted: payments
    rewrite: /v2/payments/{id}
    share: 25%     # careful
    shadow: 100%
  - {name: pay, match: POST /payments, extracted: payments, share: 100%, shadow: 100%}
  - {name: stock, match: GET /stock/**, extracted: payments, share: 0%, shadow: 5%}
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def observe(folder: Path, outcome: Outcome = "match", count: int = 1, path: str = "$.total") -> None:
    (folder / ".strangler").mkdir(exist_ok=True)
    wrong = outcome == "mismatch"
    with Store.open(folder / ".strangler" / "evidence.sqlite3") as store:
        for number in range(count):
            store.record(
                Observation(
                    route="read",
                    method="GET",
                    target=f"/payments/{number}",
                    at=1.0,
                    releases=Releases("v1", "v1"),
                    outcome=outcome,
                    worker="w",
                    differences=(Difference("body", path, "type", "number", "string", "1", '"1"'),)
                    if wrong
                    else (),
                    statuses=(200, 200),
                    latency_ms=(1.0, 1.0),
                    example=Example("GET", f"/payments/{number}", "{}", "{}") if wrong else None,
                )
            )


Cli = Callable[..., Ran]
