"""Where orders are placed: in one transaction, or each as a task that makes its calls and survives a restart."""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp

from legacy_monolith import orders, saga_log
from legacy_monolith.calling import Caller
from legacy_monolith.errors import Refused
from legacy_monolith.order_keys import Known
from legacy_monolith.order_request import OrderRequest
from legacy_monolith.placing import Move, Placing
from legacy_monolith.reasons import for_customer
from legacy_monolith.saga import Rest
from legacy_monolith.settings import Settings
from legacy_monolith.token_keys import KeySource

RETRY_SECONDS = 0.5  # after a transaction that failed, because somebody else had the database for too long

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_What = TypeVar("_What")


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as its caller leaves it: promised, or `pending` because that takes longer than the caller waits.

    Or there is none, for what `refusal` says. `again`: so it has been since an earlier request with the same key.
    """

    order_id: int | None
    pending: bool = False
    refusal: Refused | None = None
    again: bool = False


Decided = asyncio.Future[Refused | None]


class OrderDesk:
    """Takes orders, and sees their sagas through. All transactions are on `thread`, with `db`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        caller: Caller,
        settings: Settings,
        reach: Callable[[str], None],
    ) -> None:
        self._db = db
        self._thread = thread
        self._caller = caller
        self._settings = settings
        self._reach = reach
        self._placing = Placing(db, settings.places, reach)
        self._tasks: set[asyncio.Task[None]] = set()
        self._deciding: dict[int, Decided] = {}

    async def place(self, wanted: OrderRequest, key: str | None = None) -> Placed:
        """Place an order, and wait as long as the settings say for what becomes of it.

        With a `key` that is known nothing is placed, and the answer says what has become of the order of that key.
        Raises UnknownReference, KeyReused.
        """
        begun, again = await self._in_thread(self._begin, wanted, key, _now())
        if isinstance(begun, Move):
            self._see_through_alone(begun.order_id, self._see_through, begun)
        order_id = begun.order_id
        if order_id is None:
            return Placed(None, refusal=begun.refusal, again=again)
        decided = self._deciding.get(order_id)
        if decided is None:
            refusal, pending = await self._in_thread(self._outcome, order_id)
            return Placed(order_id, pending, refusal, again)
        try:
            refusal = await asyncio.wait_for(asyncio.shield(decided), self._settings.answer_within)
        except TimeoutError:
            return Placed(order_id, pending=True, again=again)
        return Placed(order_id, refusal=refusal, again=again)

    def resume(self, order_ids: list[int]) -> None:
        """Go on with the sagas that were under way when the last process ended."""
        for order_id in order_ids:
            self._see_through_alone(order_id, self._go_on, order_id)

    async def again(self, order_id: int) -> Rest:
        """Take up a compensation that has failed for good, and see it through. Raises NotFound."""
        return await self._see_through(await self._in_thread(self._placing.again, order_id, _now()))

    async def close(self) -> None:
        """Leave the sagas where they are; the next process goes on with them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, wanted: OrderRequest, key: str | None, at: str) -> tuple[Move | Known, bool]:
        """Do what the first transaction does; whether the key was known."""
        if self._settings.places.one_transaction:
            if key is None:
                return Known(orders.place(self._db, wanted, at)), False
            return orders.place_once(self._db, wanted, key, at)
        if key is None:
            return self._placing.begin(wanted, at), False
        begun = self._placing.begin_once(wanted, key, at)
        return begun, isinstance(begun, Known)

    def _outcome(self, order_id: int) -> tuple[Refused | None, bool]:
        """Read what has become of an order that nobody here is deciding: why it is none, or that it is pending."""
        saga = saga_log.find(self._db, order_id)
        if saga is None or saga.state == "confirmed":
            return None, False
        return (for_customer(saga.refusal, saga.state), False) if saga.refusal else (None, True)

    async def _go_on(self, order_id: int, decided: Decided) -> Rest:
        return await self._see_through(await self._surely(self._placing.resume, order_id), decided)

    async def _see_through(self, move: Move, decided: Decided | None = None) -> Rest:
        """Make the calls of a saga. `decided` is told as soon as it is clear whether there will be an order."""
        while True:
            if decided and not decided.done() and (move.refusal or isinstance(move.next, Rest)):
                decided.set_result(move.refusal)
            if isinstance(move.next, Rest):
                return move.next
            reply = await self._caller.carry_out(move.next)
            self._reach(f"{move.next.step}:after-call")
            move = await self._surely(self._placing.settle, move.next, reply)

    def _see_through_alone(
        self, order_id: int, work: Callable[[_What, Decided], Coroutine[object, object, Rest]], what: _What
    ) -> None:
        """See a saga through in a task of its own; those who ask for its order meanwhile wait for one decision."""
        decided = self._deciding[order_id] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(_watched(work(what, decided)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._deciding.pop(order_id))

    async def _surely(self, work: Callable[..., Move], *arguments: object) -> Move:
        """Do a transaction, again and again if it must be: the log can wait, but a saga is not given up."""
        while True:
            try:
                return await self._in_thread(work, *arguments, _now())
            except sqlite3.OperationalError as error:
                _log.error("the database does not answer, a saga waits: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


@asynccontextmanager
async def open_desk(
    db: sqlite3.Connection,
    thread: ThreadPoolExecutor,
    settings: Settings,
    reach: Callable[[str], None],
    keys: KeySource | None,
    *,
    attended: bool = False,
) -> AsyncIterator[OrderDesk]:
    """Open the desk; at the end of the block, what is under way is left for the next process.

    `keys` sign for the calls, `attended` says that somebody waits for them: see Caller.
    """
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        caller = Caller(
            session,
            settings.proxy,
            settings.backoff,
            keys,
            attended=attended,
            call_within=settings.call_within,
            clock=time.monotonic,
            draw=random.random,
        )
        desk = OrderDesk(db, thread, caller, settings, reach)
        try:
            yield desk
        finally:
            await desk.close()


async def _watched(work: Coroutine[object, object, Rest]) -> None:
    try:
        await work
    except Exception:
        _log.exception("a saga cannot go on before the next start")


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
