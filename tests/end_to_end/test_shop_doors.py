"""The doors of the services behind the real proxy, locked: what the shop may do there, and nobody else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time

from benchmarks import shop_books
from benchmarks.shop import USUAL, table
from demo.processes import reserve
from legacy_monolith import seed, token_keys, tokens
from legacy_monolith.database import open_writer
from tests.support.proxy import proxy
from tests.support.shop_services import (
    ROOT,
    Answer,
    Done,
    Service,
    assert_one_line,
    bring_over,
    run,
    running,
    wait_until,
)
from tests.support.shop_world import order


@dataclass
class Shop:
    """The monolith and both services, all of them locked, and the proxy as callers reach it."""

    folder: Path
    stack: ExitStack
    ports: dict[str, int]
    proxy: Service

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"

    def start(self, name: str, *options: object, locked: bool = True) -> Service:
        module = "legacy_monolith" if name == "monolith" else f"extracted.{name}"
        database = self.folder / name.replace("monolith", "shop")
        lock = ("--require-login", "--token-keys", self.keys) if locked else ()
        ports = ("--port", self.ports[name], "--database", database)
        return self.stack.enter_context(running(module, *ports, *lock, *options))

    def monolith(self, *options: object, locked: bool = True) -> Service:
        at = f"http://127.0.0.1:{self.proxy.port}"
        return self.start(
            "monolith", "--stock", "http", "--payments", "http", "--proxy", at, *options, locked=locked
        )

    def buy(self) -> Answer:
        token = tokens.issue(token_keys.load(self.keys), 7, int(time()))
        return self.proxy.ask("/orders", "POST", order(), Authorization=f"Bearer {token}")

    def sagas(self, *words: object) -> Done:
        at = f"http://127.0.0.1:{self.proxy.port}"
        command = ["legacy_monolith", "sagas", *words, "--database", self.folder / "shop", "--proxy", at]
        argv = [sys.executable, "-m", *(str(word) for word in command)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)


@asynccontextmanager
async def locked_shop(folder: Path) -> AsyncIterator[Shop]:
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    token_keys.rotate(folder / "keys.json", int(time()))
    with ExitStack() as stack:
        ports = {}
        for name in USUAL:
            ports[name], sock = reserve()
            stack.callback(sock.close)
        routes = table(ports).replace("{", "{{").replace("}", "}}")
        async with proxy(folder, 0, 0, workers=1, routes=routes) as front:
            shop = Shop(folder, stack, ports, Service(front.process, int(front.url.rsplit(":", 1)[1])))
            for name in ("payments", "inventory"):
                bring_over(name, folder / "shop", folder / name)
                shop.start(name)
            # Once the proxy has found both in order, strangers hear from them.
            wait_until(lambda: {shop.proxy.ask(each).status for each in ("/payments/1", "/stock")} == {401})
            yield shop


CHARGE = {
    "payment_id": 900,
    "order_id": 10_900,
    "account_id": 7,
    "method": "card",
    "card": "tok_visa",
    "amount": {"amount": 12.9, "currency": "EUR"},
    "tax": {"amount": 0.84, "currency": "EUR"},
    "taken_at": "2026-04-01T12:00:00Z",
}
DOORS = [
    ("/payments", CHARGE),
    ("/payments/801/refund", {"order_id": 10_801}),
    ("/reservations", {"order_id": 10_900, "items": [{"sku": "TEA-001", "quantity": 1}]}),
    ("/reservations/10801/confirm", {}),
    ("/reservations/10801/release", {}),
]


async def test_the_shop_has_the_steps_of_an_order_to_itself_while_keys_rotate(tmp_path: Path) -> None:
    async with locked_shop(tmp_path) as shop:
        _the_shop_alone(shop)


def _the_shop_alone(shop: Shop) -> None:
    before = shop_books.read(shop.folder)
    monolith = shop.monolith()
    placed = shop.buy()
    assert placed.status == 201
    assert placed.json["order_id"] == 10_801

    customer = tokens.issue(token_keys.load(shop.keys), 7, int(time()))
    for number, (target, body) in enumerate(DOORS):
        for headers in ({}, {"Authorization": f"Bearer {customer}"}, {"Cookie": f"shop_token={customer}"}):
            answer = shop.proxy.ask(target, "POST", body, Idempotency_Key=f"mine-{number}", **headers)
            assert (answer.status, answer.json["detail"]) == (
                401,
                "this is for the shop itself, by a token of its own",
            )
            assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'
    shop_books.assert_they_add_up(before, shop_books.read(shop.folder))

    # In the middle of orders; with --at-once no token that is on its way is believed any more.
    with ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(shop.buy) for _ in range(24)]
        for number, at_once in enumerate(([], ["--at-once"], [], ["--at-once"])):
            wait_until(partial(_so_many_are_done, answers, 4 * number))
            done = run("legacy_monolith", "keys", "rotate", "--token-keys", shop.keys, *at_once)
            assert done.code == 0
        statuses = {answer.result().status for answer in answers}
    # A caller's own token may be of the key that was just thrown away; the shop's calls all went through.
    assert {201} <= statuses <= {201, 401}
    wait_until(lambda: shop_books.open_sagas(shop.folder) == 0)
    after = shop_books.read(shop.folder)
    assert set(after.ended.values()) == {"confirmed"}
    shop_books.assert_they_add_up(before, after)
    assert monolith.stop()[0] == 0


def _so_many_are_done(answers: list[Future[Answer]], count: int) -> bool:
    return sum(answer.done() for answer in answers) >= count


async def test_a_door_that_stays_shut_becomes_a_dead_letter_that_names_the_cause(tmp_path: Path) -> None:
    async with locked_shop(tmp_path) as shop:
        _shut_out(shop)


def _shut_out(shop: Shop) -> None:
    before = shop_books.read(shop.folder)
    said = "401 this is for the shop itself, by a token of its own; we have no --token-keys to show one"
    # Without keys of its own the shop tries again while its patience lasts, and no longer.
    monolith = shop.monolith("--retry-for", "0.5", "--undo-for", "0.5", locked=False)
    assert monolith.ask("/orders", "POST", order()).status == 503
    wait_until(lambda: [state for _, state in shop_books.read(shop.folder).under_way] == ["holding"])
    code, _, log = monolith.stop()
    assert code == 0
    assert f"order 10801: reserve failed after {attempts(shop, 'reserve')} attempts: {said}" in log
    assert attempts(shop, "reserve") > 1
    assert "1: release was given up at 20" in shop.sagas().out
    assert f"attempts: {said}\n" in shop.sagas().out

    # A person is told at once, in one line.
    without = shop.sagas("retry", 10_801)
    assert (without.code, without.out) == (1, "")
    assert without.err.splitlines()[-1] == f"order 10801: release has failed again: {said}"
    assert_one_line(shop.sagas("retry", 10_801, "--token-keys", shop.folder / "none"), "legacy_monolith")
    others = shop.folder / "others.json"
    token_keys.rotate(others, int(time()))
    wrong = shop.sagas("retry", 10_801, "--token-keys", others, "--undo-for", "0.3")
    assert wrong.code == 1
    assert wrong.err.splitlines()[-1].endswith("; our --token-keys are not the service's")

    done = shop.sagas("retry", 10_801, "--token-keys", shop.keys)
    assert (done.code, done.err) == (0, "")
    assert done.out == "order 10801 is cancelled: all that was done for it is undone\n"
    shop_books.assert_they_add_up(before, shop_books.read(shop.folder))


def attempts(shop: Shop, step: str) -> int:
    with closing(sqlite3.connect(shop.folder / "shop")) as db:
        sql = "SELECT note FROM saga_log WHERE step = ? AND phase = 'failed'"
        return int(db.execute(sql, (step,)).fetchone()[0].split()[0])
