"""The shop taken apart behind the real proxy, with the table that docs/shop.md shows."""

import asyncio
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import shop_books
from benchmarks.shop import USUAL, table
from demo.processes import reserve
from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.proxy import proxy
from tests.support.raw import until
from tests.support.shop_services import Service, bring_over, running
from tests.support.shop_world import DECLINED, order


def as_given(text: str) -> str:
    """`proxy` fills in braces, and here there is nothing to fill in."""
    return text.replace("{", "{{").replace("}", "}}")


async def test_orders_go_through_the_proxy_and_survive_a_service_that_dies(tmp_path: Path) -> None:
    open_writer(tmp_path / "shop", partial(seed.fill, seed=2019)).close()
    for name in ("payments", "inventory"):
        bring_over(name, tmp_path / "shop", tmp_path / name)
    with ExitStack() as stack:
        ports = {}
        for name in USUAL:
            ports[name], sock = reserve()
            stack.callback(sock.close)

        def start(module: str, *options: object) -> Service:
            name = module.rsplit(".", 1)[-1].replace("legacy_monolith", "monolith")
            database = tmp_path / name.replace("monolith", "shop")
            return stack.enter_context(
                running(module, "--port", ports[name], "--database", database, *options)
            )

        payments = start("extracted.payments")
        start("extracted.inventory")
        async with proxy(tmp_path, 0, 0, workers=1, routes=as_given(table(ports))) as front:
            before = shop_books.read(tmp_path)
            start("legacy_monolith", "--stock", "http", "--payments", "http", "--proxy", front.url)
            shop = Service(payments.process, int(front.url.rsplit(":", 1)[1]))  # as its callers reach it

            placed = await asyncio.to_thread(shop.ask, "/orders", "POST", order())
            assert placed.status == 201
            paid = await asyncio.to_thread(shop.ask, f"/payments/{placed.json['payment_id']}")
            assert (paid.json["order_id"], paid.headers["x-release"]) == (placed.json["order_id"], "v2")
            declined = await asyncio.to_thread(shop.ask, "/orders", "POST", order(payment=DECLINED))
            assert (declined.status, declined.json["detail"]) == (402, "the card was declined")

            payments.stop(signal.SIGKILL)
            waiting = asyncio.create_task(asyncio.to_thread(shop.ask, "/orders", "POST", order()))
            await until(lambda: shop_books.open_sagas(tmp_path) == 1, within=30)
            await asyncio.to_thread(start, "extracted.payments")
            late = await waiting
            assert late.status == 201
            await until(lambda: shop_books.open_sagas(tmp_path) == 0, within=30)
            shop_books.assert_they_add_up(before, shop_books.read(tmp_path))
