"""The shop under load and faults: `python -m benchmarks.shop --orders 10000 --seed 7`.

Stock and payments are services behind the proxy. While callers order, the services and the monolith are killed,
slowed and partitioned at random, from a seed. A caller whose answer is lost with the monolith asks again, with the
same key. In the end the books must agree, no order may be stuck or placed twice, and every caller must have an answer
below 500. Bounded by the number of orders; exit code 1 when something does not add up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import aiohttp
import click
from rich.progress import Progress

from benchmarks import shop_books
from benchmarks.machine import ROOT
from benchmarks.shop_books import Books
from benchmarks.shop_faults import Wire, plan
from demo.processes import reserve
from legacy_monolith import seed as past
from legacy_monolith.database import open_writer

EXTRACTED = ["payments", "inventory"]
USUAL = {"monolith": 8001, "payments": 8002, "inventory": 8003}
READY_WITHIN = 60.0
ENDED_WITHIN = 120.0
ASKED_FOR = 120.0  # how long a caller asks again

_LISTENS = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")


@dataclass
class Outcome:
    """What a run has come to. Times are in seconds.

    `statuses` are the answers that callers have kept, `broken` those after which they asked again: 0 for none.
    """

    before: Books
    after: Books
    orders: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[int] = field(default_factory=Counter)
    promised: list[int] = field(default_factory=list)  # the orders of all 201
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)  # of which kind, at which service
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    to_the_end: float = 0.0

    def wrong(self) -> list[str]:
        """Everything that should not be."""
        found = shop_books.disagreements(self.before, self.after)
        found += [f"{count} callers got {status}" for status, count in self.statuses.items() if status >= 500]
        found += [f"{self.statuses[0]} callers got no answer"] * bool(self.statuses[0])
        begun = self.after.ended.keys() - self.before.ended.keys()
        found += [f"{self.orders} orders were wanted, {len(begun)} begun"] * (len(begun) != self.orders)
        twice = [number for number, count in Counter(self.promised).items() if count > 1]
        found += [f"orders {twice} were promised to two callers"] * bool(twice)
        unkept = [number for number in self.promised if number not in self.after.totals]
        return found + [f"orders {unkept} were promised and are none"] * bool(unkept)


class Service:
    """A process of the shop on a port of its own, which can be killed and started again."""

    def __init__(self, module: str, port: int, database: Path, *options: str) -> None:
        self._argv = [
            sys.executable,
            "-m",
            module,
            "--port",
            str(port),
            "--database",
            str(database),
            *options,
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), READY_WITHIN)
        assert _LISTENS.match(line), line

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


def table(ports: dict[str, int]) -> str:
    """The table of docs/shop.md, at other addresses and on any free port."""
    found = re.search(r"```yaml\n(version: 1\n.*?)```", (ROOT / "docs" / "shop.md").read_text(), re.S)
    assert found
    text = found[1].replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:9090", "127.0.0.1:0")
    for name, usual in USUAL.items():
        assert text.count(f":{usual}") == 1
        text = text.replace(f":{usual}", f":{ports[name]}")
    return text


async def run(
    folder: Path, orders: int, callers: int, number: int, advance: Callable[[], object] = lambda: None
) -> Outcome:
    """Place so many orders while services fail, see all of them through, and read the books.

    `callers` order at once; `number` is the seed.
    """
    async with AsyncExitStack() as stack:
        services, wires, proxy = await _open(stack, folder, Random(number + 2))
        before = shop_books.read(folder)
        outcome = Outcome(before, before, orders)
        stop = asyncio.Event()
        faults = asyncio.create_task(_fail(services, wires, Random(number), outcome.faults, stop))
        began = time.monotonic()
        async with _session(callers) as session:
            wishes = enumerate([_wish(random) for random in [Random(number + 1)] for _ in range(orders)])
            ask = partial(_order, session, f"{proxy}/orders", wishes, outcome, advance)
            await asyncio.gather(*(ask() for _ in range(callers)))
        outcome.seconds = time.monotonic() - began
        stop.set()
        await faults
        began = time.monotonic()
        async with asyncio.timeout(ENDED_WITHIN):
            while shop_books.open_sagas(folder):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
        outcome.to_the_end = time.monotonic() - began
        outcome.after = shop_books.read(folder)
        return outcome


def _session(callers: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=callers)
    )


async def _open(
    stack: AsyncExitStack, folder: Path, random: Random
) -> tuple[dict[str, Service], dict[str, Wire], str]:
    open_writer(folder / "shop", partial(past.fill, seed=2019)).close()
    ports: dict[str, int] = {}
    wires: dict[str, Wire] = {}
    services: dict[str, Service] = {}
    for name in USUAL:
        ports[name], sock = reserve()
        stack.callback(sock.close)
    behind = dict(ports)
    for name in EXTRACTED:
        await _import(name, folder)
        services[name] = Service(f"extracted.{name}", ports[name], folder / name)
        stack.push_async_callback(services[name].kill)
        await services[name].start()
    for name in USUAL:
        wires[name] = Wire(ports[name], random)
        await stack.enter_async_context(wires[name].listening())
        behind[name] = wires[name].port
    proxy = await stack.enter_async_context(_proxy(folder, table(behind)))
    options = ("--stock", "http", "--payments", "http", "--proxy", proxy, "--call-within", "2")
    monolith = services["monolith"] = Service("legacy_monolith", ports["monolith"], folder / "shop", *options)
    stack.push_async_callback(monolith.kill)
    await monolith.start()
    return services, wires, proxy


async def _import(name: str, folder: Path) -> None:
    argv = ["import", "--from", str(folder / "shop"), "--database", str(folder / name)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"extracted.{name}", *argv, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


@contextlib.asynccontextmanager
async def _proxy(folder: Path, routes: str) -> AsyncIterator[str]:
    (folder / "routes.yaml").write_text(routes)
    with (folder / "proxy.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", "serve", "--workers", "1"),
            *("--routes", str(folder / "routes.yaml"), "--state", str(folder / "state")),
            stdout=log,
            stderr=log,
        )
    try:
        facts = folder / "state" / "server.json"
        async with asyncio.timeout(READY_WITHIN):
            while not facts.exists():  # noqa: ASYNC110 - another process's file
                await asyncio.sleep(0.05)
        found = re.search(r'"listen": *"([^"]+)"', facts.read_text())
        assert found
        yield f"http://{found[1]}"
    finally:
        process.terminate()
        await process.wait()


async def _fail(
    services: dict[str, Service],
    wires: dict[str, Wire],
    random: Random,
    count: Counter[tuple[str, str]],
    stop: asyncio.Event,
) -> None:
    """Do one fault after the other until told to stop; then all is well again."""
    for fault in plan(random, list(USUAL)):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), fault.after)
        if stop.is_set():
            return
        count[fault.kind, fault.service] += 1
        service, wire = services[fault.service], wires[fault.service]
        if fault.kind == "killed":
            await service.kill()
        elif fault.kind == "reset":
            wire.reset()
        else:
            wire.fault = fault.kind
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(fault.seconds, 0.001))
        if fault.kind == "killed":
            await service.start()
        elif wire.fault in ("partitioned", "answers lost"):
            wire.reset()  # what waits for lost bytes would wait for ever
        wire.fault = None


def _wish(random: Random) -> dict[str, object]:
    skus = [
        f"{prefix}-{number:03}" for prefix in ("TEA", "COF", "CUP", "POT", "TOO") for number in range(1, 9)
    ]
    items = [
        {"sku": sku, "quantity": random.randint(1, 2)} for sku in random.sample(skus, random.randint(1, 2))
    ]
    way = random.choices(["tok_visa", "tok_declined", None], [80, 5, 15])[0]
    payment = {"method": "card", "card": way} if way else {"method": "balance"}
    return {"account_id": random.randint(1, past.ACCOUNTS), "items": items, "payment": payment}


async def _order(
    session: aiohttp.ClientSession,
    url: str,
    wishes: Iterator[tuple[int, dict[str, object]]],
    outcome: Outcome,
    advance: Callable[[], object],
) -> None:
    for number, wish in wishes:
        began = time.monotonic()
        while True:
            status, kept = await _ask(session, url, wish, f"wish-{number}", outcome)
            if kept or time.monotonic() - began > ASKED_FOR:
                break
            outcome.broken[status] += 1
            await asyncio.sleep(0.1)
        outcome.statuses[status] += 1
        outcome.took.append(time.monotonic() - began)
        advance()


async def _ask(
    session: aiohttp.ClientSession, url: str, wish: dict[str, object], key: str, outcome: Outcome
) -> tuple[int, bool]:
    """Ask once; the status, 0 for none, and whether it says what has become of the order."""
    try:
        async with session.post(url, json=wish, headers={"Idempotency-Key": key}) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return 0, False
    if answer.status == 201:
        outcome.promised.append(json.loads(body)["order_id"])
    return answer.status, answer.status < 500 or "Idempotency-Replayed" in answer.headers


@click.command()
@click.option("--orders", default=10_000, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--callers", default=100, show_default=True, type=click.IntRange(1), help="So many at once.")
@click.option("--seed", default=7, show_default=True, help="Of orders and faults.")
def main(orders: int, callers: int, seed: int) -> None:
    """Orders under load and faults; the figures, and whether the books agree."""
    with tempfile.TemporaryDirectory() as name, Progress() as progress:
        task = progress.add_task("orders", total=orders)
        outcome = asyncio.run(run(Path(name), orders, callers, seed, lambda: progress.advance(task)))
    for line in _figures(outcome, orders, seed):
        click.echo(line)
    for line in outcome.wrong():
        click.echo(f"wrong: {line}", err=True)
    sys.exit(bool(outcome.wrong()))


def _figures(outcome: Outcome, orders: int, seed: int) -> Iterator[str]:
    ended = Counter(
        state for number, state in outcome.after.ended.items() if number not in outcome.before.ended
    )
    cuts = statistics.quantiles(outcome.took, n=100) if len(outcome.took) > 1 else [0.0] * 99
    yield f"seed {seed}: {orders} orders in {outcome.seconds:.1f} s, the last saga {outcome.to_the_end:.1f} s later"
    yield f"answers: {', '.join(f'{count} x {status}' for status, count in sorted(outcome.statuses.items()))}"
    broken = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(outcome.broken.items()))
    yield f"lost with the monolith, and asked for again with the same key: {broken or 'none'}"
    yield f"sagas: {', '.join(f'{count} {state}' for state, count in sorted(ended.items()))}"
    for name in USUAL:
        met = sorted((kind, count) for (kind, service), count in outcome.faults.items() if service == name)
        yield f"faults of {name}: {', '.join(f'{count} {kind}' for kind, count in met) or 'none'}"
    yield f"time to an answer: p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, most {max(outcome.took):.1f} s"
    sold = (outcome.after.reserved - outcome.before.reserved).total()
    yield f"stock sold {sold}; charged less refunded {sum(outcome.after.charged.values()) / 100:.2f} EUR"


if __name__ == "__main__":
    main()
