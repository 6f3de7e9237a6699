"""The first half of the story: nothing moves, and everything is seen."""

from __future__ import annotations

from demo import proofs
from demo.play import ROUTE, Play, legacy_release
from demo.screen import number
from demo.stage import SERVICES

PASS, INCONCLUSIVE = 0, 3  # what `strangler report --gate` says by its exit code


async def observe(play: Play) -> None:
    """Orders and looks go through the proxy to the shop, and nothing else happens."""
    screen, stage = play.screen, play.stage
    screen.chapter("Observe: the proxy stands in front of the shop, and nobody notices")
    screen.command(stage.shop_command)
    screen.command("strangler serve --workers 2")
    placed = await play.order(play.length.orders)
    answers = await play.look(play.length.visits * len(play.customers))
    proofs.only(answers, "", legacy_release(answers))
    for route in {answer.request.route for answer in answers}:
        proofs.only(answers, route, legacy_release(answers))
    await stage.type("status")
    screen.happened(
        f"{len(placed)} orders and {number(len(answers))} looks went through {stage.proxy}, and the shop answered all.",
        "Every route of routes.yaml is at 0 %: nothing is copied, nothing is known, and `status` says so.",
    )


async def shadow(play: Play) -> None:
    """The services get the shop's data and then copies of its reads; the shop answers everybody."""
    screen, stage = play.screen, play.stage
    screen.chapter("Shadow: the services get the data, and then a copy of every read")
    for service in SERVICES:
        await stage.fill(service)
        await stage.start(service, "v1")
        await stage.hear(service)
    placed = await play.order(play.length.orders)
    rows = [await stage.reconciled(service) for service in SERVICES]
    stage.edit(
        "sed -i 's/shadow: 0%/shadow: 100%/' routes.yaml",
        lambda text: text.replace("shadow: 0%", "shadow: 100%"),
    )
    await stage.taken_up()
    answers = await play.look(play.length.shadowed)
    booked = proofs.eligible_is(await stage.settled(), answers)
    screen.happened(
        f"Imported; {len(placed)} orders came later, as events: reconciled, {number(sum(rows))} rows are the same.",
        f"Each of our {number(booked)} routed reads is in the evidence: compared, or skipped and why. Nobody waited.",
    )


async def find(play: Play) -> None:
    """The report names what the services get wrong."""
    screen, stage = play.screen, play.stage
    screen.chapter("Find the bug: the report names what release v1 gets wrong")
    await stage.type("report", "--format", "json", "--out", "before.json")
    await stage.type("report")
    before = stage.report("before.json")
    proofs.mistakes_found(before)
    failed = proofs.all_fail(before, {route for each in proofs.MISTAKES for route, _ in each.places})
    first, second, third = (f"{each.what} ({each.places[0][1]})" for each in proofs.MISTAKES)
    screen.happened(f"Found {first}, {second}", f"and {third}. {failed} routes fail; no gate is open.")


async def fix(play: Play) -> None:
    """Release v2 takes v1's place under traffic."""
    screen, stage = play.screen, play.stage
    screen.chapter("Fix: release v2 takes the place of v1, under traffic")

    async def swap() -> None:
        for service in SERVICES:
            await stage.replace(service, "v2")

    during = await play.meanwhile(swap())
    for route in {answer.request.route for answer in during}:
        proofs.only(during, route, legacy_release(during))
    await play.look(play.length.mended)
    pairs = proofs.no_difference(await stage.settled(), "v2")
    screen.happened(
        f"{number(len(during))} requests were answered by the shop while v2 was started beside v1, and v1 stopped.",
        f"Evidence belongs to a pair of releases, so it began anew: {number(pairs)} pairs, and not one differs.",
    )


async def compare(play: Play) -> None:
    """The reports of both releases are compared, and the gate is asked."""
    screen, stage = play.screen, play.stage
    screen.chapter("Compare: is v2 better than v1, and is it good enough?")
    await stage.type("report", "--format", "json", "--out", "after.json")
    await stage.type("compare", "before.json", "after.json")
    said = await stage.type("report", ROUTE, "--gate", allowed=(PASS, INCONCLUSIVE))
    fixed = proofs.mended(stage.report("before.json"), stage.report("after.json"))
    verdict, reason = proofs.verdict_on(stage.report("after.json"), ROUTE)
    assert verdict in said
    screen.happened(
        f"{fixed} differences are fixed, none is new, nothing got worse.",
        f"The verdict on {ROUTE}: {verdict}, for {reason}.",
    )
