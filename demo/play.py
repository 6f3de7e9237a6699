"""What every chapter plays with: the stage, the customers, and the means to let them shop while something happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from demo import proofs, traffic
from demo.screen import Screen
from demo.stage import Stage
from demo.traffic import Answer, Crowd, Request

ROUTE: Final = "payment-read"
# Where customers go on looking around until something else is done: requests at a time, and the pause in seconds
# that keeps them from taking all of a small machine.
BATCH: Final = 25
PAUSE: Final = 0.05
#: So many requests at a time while copies are compared: on a small machine the observer, which stands back behind
#: callers, would otherwise be left behind, and say so.
PORTION: Final = 400


@dataclass(frozen=True, slots=True)
class Length:
    """How many requests each part takes, and what the ramp asks. `visits` is per customer."""

    orders: int
    shadowed: int
    mended: int
    visits: int
    match: str
    after_switch: int  # orders that are sagas


#: With no difference among them, 4 773 pairs prove a match rate of 99.9 %: `mended` brings payment-read past that.
FULL: Final = Length(orders=120, shadowed=3200, mended=8200, visits=3, match="99.9%", after_switch=80)
#: And 474 pairs prove one of 99 %.
QUICK: Final = Length(orders=20, shadowed=900, mended=900, visits=2, match="99%", after_switch=24)


class Play:
    """The stage and the customers of one run."""

    def __init__(self, stage: Stage, crowd: Crowd, screen: Screen, length: Length, seed: int) -> None:
        self.stage = stage
        self.screen = screen
        self.length = length
        self.customers = traffic.customers()
        self._crowd = crowd
        self._random = Random(seed)
        self._random_meanwhile = Random(seed + 1)  # how much is drawn from this one depends on the machine

    async def order(self, count: int) -> list[Answer]:
        """Customers order so many times. Raises Disproved when one of the orders is refused."""
        orders = traffic.orders(self.customers, self._random, count)
        placed = await self._send("placing orders", orders)
        refused = sum(answer.status not in (201, 202) for answer in placed)
        if refused or len(placed) != len(orders):
            raise proofs.Disproved(
                f"{len(orders) - len(placed) + refused} of {len(orders)} orders were refused"
            )
        return placed

    async def look(self, count: int) -> list[Answer]:
        """Customers look at so many things, and what is copied of it is compared."""
        reads = traffic.browsing(self.customers, self._random, count)
        answers: list[Answer] = []
        with self.screen.progress("customers look around", count) as advance:
            for portion in batched(reads, PORTION):
                answers += await self._crowd.send(portion, advance)
                await self.stage.settled()
        self.stage.processes.check()
        return answers

    async def visit(self, title: str) -> list[Answer]:
        """Every customer looks at a few payments, and at some stock."""
        return await self._send(title, traffic.visits(self.customers, self._random, self.length.visits))

    async def meanwhile(
        self, work: Coroutine[object, object, None], *, eager: bool = False, routed: bool = False
    ) -> list[Answer]:
        """Do the work while customers look around; their answers.

        `eager` ones do so as fast as copies can be compared. With `routed` they look only at what routes speak of.
        """
        answers: list[Answer] = []
        with self.screen.progress("customers look around meanwhile", None) as advance:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work)
                while not task.done():
                    reads = traffic.browsing(
                        self.customers, self._random_meanwhile, PORTION if eager else BATCH, routed=routed
                    )
                    answers += await self._crowd.send(reads, advance)
                    if eager:
                        await self.stage.settled()
                    else:
                        await asyncio.wait([task], timeout=PAUSE)
        return answers

    async def move(self, route: str, percent: int, why: str) -> None:
        """Change a share by command, and wait until it is in force."""
        await self.stage.type("share", route, f"{percent}%", "--why", why)
        await self.stage.share_in_force(route, percent)

    async def moves(self, route: str) -> list[dict[str, Any]]:
        """What the ledger says of the share of a route, the oldest first."""
        entries = json.loads(await self.stage.ask("history", "--route", route, "--json"))["entries"]
        return [entry for entry in entries if entry["key"] == "share"]

    @property
    def failures(self) -> list[str]:
        """What became of the requests that failed."""
        return self._crowd.count.failures

    async def _send(self, title: str, requests: Sequence[Request]) -> list[Answer]:
        with self.screen.progress(title, len(requests)) as advance:
            answers = await self._crowd.send(requests, advance)
        self.stage.processes.check()
        return answers


def batched(requests: Sequence[Request], size: int) -> Iterator[Sequence[Request]]:
    """The requests in portions."""
    for begin in range(0, len(requests), size):
        yield requests[begin : begin + size]


def legacy_release(answers: Sequence[Answer]) -> str:
    """What the shop calls itself, by its answers on what no service ever takes over. Raises Disproved."""
    releases = {answer.release for answer in answers if not answer.request.route}
    if len(releases) != 1 or releases & {"v1", "v2", ""}:
        raise proofs.Disproved(f"the shop's own pages came from {', '.join(sorted(releases)) or 'nobody'}")
    return releases.pop()
