"""A relay whose clock and whose network do what is rare: in this process, with real sockets and files."""

import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from legacy_monolith.database import open_existing, open_writer
from legacy_monolith.telling import PROGRAM
from shop_events import deliveries, outbox
from shop_events.deliveries import DeadEvent
from shop_events.delivery import Patience
from shop_events.relay import Pace, relaying
from tests.support.raw import until


class Books:
    """A database with one event, and one consumer of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.path = folder / "database"
        with closing(open_writer(self.path, lambda _: None)) as db:
            outbox.write(db, "PaymentTaken", 1, "801", {})
            deliveries.subscribe(db, "x", f"http://127.0.0.1:{port}/events", {"PaymentTaken": 1})
            self._event = outbox.at_sequence(db, outbox.last(db))

    def put_off(self, due: float) -> None:
        with closing(open_existing(self.path)) as db:
            deliveries.put_off(db, "x", self._event, 1, due, "500")

    def dead(self) -> list[DeadEvent]:
        with closing(open_existing(self.path)) as db:
            return deliveries.dead_events(db)


def no_sign() -> dict[str, str]:
    return {}


def deaf(stack: ExitStack) -> int:
    """A port where connections are not refused and never come about, as where a machine has lost its power."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    port: int = server.getsockname()[1]
    while True:
        try:
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.2))
        except TimeoutError:
            return port


async def test_who_lets_no_connection_come_about_is_away_and_no_letter_dies(tmp_path: Path) -> None:
    with ExitStack() as stack:
        books = Books(tmp_path, deaf(stack))
        pace = Pace(every=0.02, within=0.05, patience=Patience(attempts=1))
        pauses: list[float] = []

        def draw() -> float:
            pauses.append(0.0)
            return 0.0

        async with relaying(PROGRAM, books.path, pace, clock=lambda: 0.0, draw=draw, sign=no_sign):
            await until(lambda: len(pauses) >= 3 or bool(books.dead()))
        assert books.dead() == []


async def test_a_clock_that_is_put_back_holds_nothing_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as consumer:
        books = Books(tmp_path, consumer.getsockname()[1])
        books.put_off(due=10_003.0)  # an hour before, by the clock of then
        consumer.setblocking(False)
        came: list[socket.socket] = []

        def knocked() -> bool:
            try:
                came.append(consumer.accept()[0])
            except BlockingIOError:
                return False
            return True

        pace = Pace(every=0.02)
        async with relaying(PROGRAM, books.path, pace, clock=lambda: 6_400.0, draw=lambda: 0.0, sign=no_sign):
            await until(knocked)
        came[0].close()


async def test_a_consumer_that_cannot_be_read_does_not_end_the_relay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as consumer:
        books = Books(tmp_path, consumer.getsockname()[1])
        consumer.setblocking(False)
        with closing(open_existing(books.path)) as db:
            db.execute("UPDATE subscriptions SET types = '{'")
            pace = Pace(every=0.02)
            async with relaying(
                PROGRAM, books.path, pace, clock=lambda: 0.0, draw=lambda: 0.0, sign=no_sign
            ) as task:
                await until(lambda: "cannot read who its consumers are" in caplog.text)
                db.execute("UPDATE subscriptions SET types = ?", ('{"PaymentTaken": 1}',))
                await until(lambda: knocked(consumer))
                assert not task.done()
    assert caplog.text.count("cannot read who its consumers are") == 1


def knocked(consumer: socket.socket) -> bool:
    try:
        consumer.accept()[0].close()
    except BlockingIOError:
        return False
    return True
