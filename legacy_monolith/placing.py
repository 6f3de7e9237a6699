"""Placing an order in steps: what happens in the transactions between the calls.

Each transaction writes how the last step has ended, does all further steps that can be done here, and ends with
the step that needs a call, written down as begun. So whatever dies, and whenever, the log says where to go on.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from legacy_monolith import accounts, in_transaction, order_keys, orders, over_http, saga_log
from legacy_monolith.errors import NotFound, NotReached, Refused
from legacy_monolith.order_keys import Known
from legacy_monolith.order_request import OrderRequest
from legacy_monolith.ports import Call, PaymentsPort, StockPort, Where
from legacy_monolith.reasons import for_customer
from legacy_monolith.replies import Done, Failed, Refusal, Reply
from legacy_monolith.saga import (
    FORWARD,
    RULES,
    UNCHARGED,
    WAITING,
    Begin,
    Entry,
    GoOn,
    Phase,
    Rest,
    State,
    Step,
    decide,
    state_of,
)
from legacy_monolith.saga_log import Pending, Places, Saga
from shop_events.transactions import savepoint, transaction

STOCK: dict[Where, StockPort] = {"local": in_transaction.STOCK, "http": over_http.STOCK}
PAYMENTS: dict[Where, PaymentsPort] = {"local": in_transaction.PAYMENTS, "http": over_http.PAYMENTS}


@dataclass(frozen=True, slots=True)
class Move:
    """What a transaction has come to: a call to make, or rest.

    `refusal` says why there will be no order, in words for the customer.
    """

    order_id: int
    next: Pending | Rest
    refusal: Refused | None


class Placing:
    """The transactions of the sagas, on a connection that the caller lends to one call at a time.

    `reach` is told every entry of the log, before it is committed ("charge:before-begun") and after
    ("charge:after-begun"); tests let the process die there.
    """

    def __init__(self, db: sqlite3.Connection, places: Places, reach: Callable[[str], None]) -> None:
        self._db = db
        self._places = places
        self._reach = reach

    def begin(self, wanted: OrderRequest, at: str) -> Move:
        """Begin to place an order. `at` is a time as the API shows it. Raises UnknownReference."""
        with self._recorded() as written:
            return self._start(wanted, at, written)

    def begin_once(self, wanted: OrderRequest, key: str, at: str) -> Move | Known:
        """Begin to place an order unless its key is known. Raises UnknownReference, KeyReused."""
        with self._recorded() as written:
            known = order_keys.find(self._db, key, wanted, at)
            if known is not None:
                return known
            move = self._start(wanted, at, written)
            order_keys.keep(self._db, key, wanted, Known(move.order_id), at)
            return move

    def resume(self, order_id: int, at: str) -> Move:
        """Go on with a saga where its log ends."""
        with self._recorded() as written:
            return self._advance(order_id, at, written)

    def settle(self, what: Pending, reply: Reply, at: str) -> Move:
        """Write how a call has ended, and go on."""
        with self._recorded() as written:
            # Somebody else may have been first: two processes that go on with one saga use the same keys.
            if decide(saga_log.entries(self._db, what.order_id)) == GoOn(what.step, what.entry):
                self._settle(what, reply, at, written)
            return self._advance(what.order_id, at, written)

    def again(self, order_id: int, at: str) -> Move:
        """Take up the compensation that has failed for good, or go on where somebody has done so and was interrupted.

        Raises NotFound when there is none.
        """
        with self._recorded() as written:
            saga = saga_log.find(self._db, order_id)
            state = saga.state if saga else None  # of its log, after every transaction
            if state in WAITING:
                step: Step = "release" if state == "holding" else "refund"
                self._write(order_id, step, "again", at, written)
            elif state is None or state not in RULES or not self._is_buried(order_id, state):
                raise NotFound(f"order {order_id} has no compensation that waits for a retry")
            return self._advance(order_id, at, written)

    def _is_buried(self, order_id: int, state: State) -> bool:
        return saga_log.is_buried(self._db, order_id, RULES[state].step)

    def _start(self, wanted: OrderRequest, at: str, written: list[Entry]) -> Move:
        draft = orders.prepare(self._db, wanted, at)
        saga_log.start(self._db, draft, self._places, at)
        return self._advance(draft.order_id, at, written)

    @contextmanager
    def _recorded(self) -> Iterator[list[Entry]]:
        written: list[Entry] = []
        with transaction(self._db):
            yield written
            self._tell("before", written)
        self._tell("after", written)

    def _tell(self, when: str, written: list[Entry]) -> None:
        for entry in written:
            self._reach(f"{entry.step}:{when}-{entry.phase}")

    def _advance(self, order_id: int, at: str, written: list[Entry]) -> Move:
        """Do what can be done in this transaction."""
        while True:
            saga = saga_log.find(self._db, order_id)
            assert saga is not None
            log = saga_log.entries(self._db, order_id)
            state = state_of(log)
            self._come_to(saga, state, at)
            refusal = for_customer(saga.refusal, state) if saga.refusal else None
            match decide(log):
                case Begin() as begin:
                    self._begin(saga, begin, at, written)
                case GoOn(_, number):
                    return Move(order_id, saga_log.pending(self._db, order_id, number), refusal)
                case Rest() as rest:
                    return Move(order_id, rest, refusal)

    def _begin(self, saga: Saga, begin: Begin, at: str, written: list[Entry]) -> None:
        order_id, step = saga.draft.order_id, begin.step
        try:
            with savepoint(self._db):
                call = self._do(saga, step)
        except Refused as error:
            self._write(order_id, step, "begun", at, written)
            self._write(order_id, step, "refused", at, written, note=str(error))
            saga_log.refuse(self._db, order_id, error)
            return
        key = f"order-{order_id}:{step}:{begin.round}"
        self._write(order_id, step, "begun", at, written, call=call, key=key if call else None)
        if call is None:
            self._write(order_id, step, "done", at, written)

    def _do(self, saga: Saga, step: Step) -> Call | None:
        stock, payments = STOCK[saga.places.stock], PAYMENTS[saga.places.payments]
        work = {
            "reserve": stock.reserve,
            "charge": payments.charge,
            "confirm": stock.confirm,
            "refund": payments.refund,
            "release": stock.release,
        }
        return work[step](self._db, saga.draft)

    def _settle(self, what: Pending, reply: Reply, at: str, written: list[Entry]) -> None:
        match reply:
            case Done():
                self._write(what.order_id, what.step, "done", at, written)
                saga_log.dig_out(self._db, what.order_id, what.step)
            case Refusal(error, text):
                self._write(what.order_id, what.step, "refused", at, written, note=text)
                saga_log.refuse(self._db, what.order_id, error(text))
            case Failed(text, attempts):
                self._write(
                    what.order_id, what.step, "failed", at, written, note=f"{attempts} attempts: {text}"
                )
                if what.step in FORWARD:
                    detail = f"{what.step} failed, so the order was cancelled: {text}"
                    saga_log.refuse(self._db, what.order_id, NotReached(detail))
                else:
                    saga_log.bury(self._db, what, attempts, text, at)

    def _come_to(self, saga: Saga, state: State, at: str) -> None:
        """Do what a state brings with it that is new: the end of an order, or of what can be done for it."""
        order_id = saga.draft.order_id
        if state == saga.state:
            return
        if state == "confirmed":
            orders.confirm(self._db, saga.draft, paid_elsewhere=saga.places.payments == "http")
            accounts.spend(self._db, order_id)
        elif state not in RULES:
            accounts.let_go(self._db, order_id)
        if state not in UNCHARGED:
            saga_log.forget_card(self._db, order_id)
        saga_log.come_to(self._db, order_id, state, at)

    def _write(
        self,
        order_id: int,
        step: Step,
        phase: Phase,
        at: str,
        written: list[Entry],
        *,
        call: Call | None = None,
        key: str | None = None,
        note: str | None = None,
    ) -> None:
        log = saga_log.entries(self._db, order_id)
        entry = Entry(len(log) + 1, step, phase)
        saga_log.write(self._db, order_id, entry, at, call=call, key=key, note=note)
        written.append(entry)
