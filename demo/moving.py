"""The second half of the story: callers move, something dies, callers are back, and in the end they have all moved."""

from __future__ import annotations

import asyncio
from typing import Final

from demo import proofs
from demo.play import ROUTE, Play, legacy_release
from demo.processes import ROOT
from demo.screen import number
from demo.stage import SERVICES

HALF: Final = 50
CLIMBED_WITHIN: Final = 120.0
OTHERS: Final = ("account-payments", "stock-read", "stock-list", "catalogue")


async def ramp(play: Play) -> None:
    """The share climbs by itself, and every caller stays on a side."""
    screen, stage = play.screen, play.stage
    screen.chapter("Ramp: the share climbs by itself, as far as the evidence carries it")
    begin = "" if play.length.match == "99.9%" else f"; s/99.9%/{play.length.match}/"
    stage.edit(
        f"sed -i 's/# ramp:/ramp:/{begin}' routes.yaml",
        lambda text: text.replace("# ramp:", "ramp:").replace("99.9%", play.length.match),
    )
    during = await play.meanwhile(stage.share_in_force(ROUTE, HALF, CLIMBED_WITHIN), eager=True)
    await stage.type("ramp", "show", ROUTE, allowed=(0, 3))
    answers = await play.visit(f"every customer, at {HALF} %")
    moved, stayed = proofs.sides(answers, ROUTE, "v2")
    proofs.about(len(moved), len(moved) + len(stayed), HALF)
    proofs.only(answers, "stock-read", legacy_release(await play.look(200)))
    steps = " and ".join(f"{entry['from']} -> {entry['to']}" for entry in await play.moves(ROUTE))
    screen.happened(
        f"{ROUTE} climbed {steps}, each on evidence of its own, in {number(len(during))} requests.",
        f"{len(moved)} of {len(moved) + len(stayed)} callers are answered by v2 now, and nobody by both sides.",
    )


async def crash(play: Play) -> None:
    """The observer and then a service are killed, and callers notice neither."""
    screen, stage = play.screen, play.stage
    screen.chapter("Survive a crash: the observer is killed, and then payments itself")
    first = await play.meanwhile(stage.kill_observer())
    await stage.kill("payments")
    second = await play.meanwhile(stage.share_in_force(ROUTE, 0))
    proofs.nothing_failed(play.failures)
    answered = sum(answer.request.route == ROUTE for answer in second)
    screen.happened(
        f"Without an observer {number(len(first))} requests were answered as ever; there is another one already.",
        f"Without payments {number(answered)} of its reads were answered, by the shop in its place. 0 failed.",
    )


async def roll_back(play: Play) -> None:
    """The ramp has taken the share back; the ledger says why."""
    screen, stage = play.screen, play.stage
    screen.chapter("Roll back: the ramp has done it already")
    await stage.type("history", "--route", ROUTE)
    last = (await play.moves(ROUTE))[-1]
    proofs.rolled_back(last)
    answers = await play.visit("every customer, after the rollback")
    proofs.only(answers, ROUTE, legacy_release(await play.look(200)))
    screen.happened(
        f"{last['from']} -> {last['to']} by the ramp itself: {last['why']}.",
        f"The shop answers all {len(play.customers)} callers. By hand it is one command: strangler rollback {ROUTE}",
    )


async def finish(play: Play) -> None:
    """Everything moves, and then the work itself moves: orders are sagas across the services."""
    screen, stage = play.screen, play.stage
    screen.chapter("Finish: all callers move, and then orders go through the services, too")
    await stage.start("payments", "v2")
    for route in (ROUTE, *OTHERS):
        await play.move(route, 100, "the evidence of the shadow")
    for service in SERVICES:
        await stage.tell(service)
    steps = (ROOT / "demo" / "steps.yaml").read_text()
    stage.edit("cat steps.yaml >> routes.yaml", lambda text: text + steps)
    await stage.taken_up()
    during = await play.meanwhile(_switch(play), routed=True)
    for route in {answer.request.route for answer in during}:
        proofs.only(during, route, "v2")
    placed = await _order_through_a_crash(play)
    rows = [await stage.reconciled(service) for service in SERVICES]
    await stage.type("status")
    proofs.nothing_failed(play.failures)
    screen.happened(
        f"{number(len(during))} reads were answered while the shop itself was away: nobody needed it for them.",
        f"{placed} orders, as sagas across three databases; inventory was killed in their midst. "
        f"All ended, {number(sum(rows))} rows are the same.",
    )


async def _switch(play: Play) -> None:
    """Start the shop anew, with its ports over HTTP."""
    stage = play.stage
    await stage.stop_shop()
    ports = ("--stock", "http", "--payments", "http", "--proxy", stage.proxy)
    await stage.start_shop(*ports)
    play.screen.command(stage.shop_command)


async def _order_through_a_crash(play: Play) -> int:
    """Orders while inventory is killed and started again; how many were placed. Raises Disproved."""
    stage = play.stage
    half = play.length.after_switch // 2
    placed = await play.order(half)
    await stage.kill("inventory")
    async with asyncio.TaskGroup() as group:
        coming = group.create_task(stage.start("inventory", "v2"))
        placed += await play.order(half)
        await coming
    await stage.sagas_ended()
    return len(placed)
