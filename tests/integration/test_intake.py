"""The observer's intake, fed by hand over a real socket."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from strangler.exchange.frames import Hello, encode
from strangler.exchange.model import Answer, Exchange
from strangler.observer.intake import Intake
from tests.support.raw import until

EXCHANGE = Exchange("pay", "legacy", "GET", "/pay/1", (), b"", 0, 0.0, Answer(200, (), b"", 1.0))


async def test_a_second_connection_waits_until_the_first_is_over_and_settled(tmp_path: Path) -> None:
    """What a hello books as lost must not be recorded afterwards: it would count twice."""
    hellos: list[Hello] = []
    unfinished: list[Callable[[], None]] = []
    intake = Intake(hellos.append, lambda worker, exchange, done: unfinished.append(done))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "feed"))
    sock.listen()
    await intake.start(sock)

    _, first = await asyncio.open_unix_connection(str(tmp_path / "feed"))
    first.write(encode(Hello("w", {})) + encode(EXCHANGE))
    await until(lambda: len(unfinished) == 1)
    _, second = await asyncio.open_unix_connection(str(tmp_path / "feed"))
    second.write(encode(Hello("w", {"pay": 2})) + encode(EXCHANGE))

    unfinished[0]()  # settled, but the first connection is open and may still bring more
    _, other = await asyncio.open_unix_connection(str(tmp_path / "feed"))
    other.write(
        encode(Hello("another", {}))
    )  # whoever comes after the second is heard, so the second was too
    await until(lambda: hellos[-1].worker == "another")
    other.close()
    assert [hello.worker for hello in hellos] == ["w", "another"]
    first.write(encode(EXCHANGE))
    await until(lambda: len(unfinished) == 2)
    assert len(hellos) == 2
    first.close()
    unfinished[1]()
    await until(lambda: len(hellos) == 3 and len(unfinished) == 3)
    unfinished[2]()
    second.close()
    await intake.stop(5.0)
    assert not intake.busy("w")


async def test_no_more_bytes_are_taken_than_it_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strangler.observer.intake.HELD_BYTES", 2_000)
    unfinished: list[Callable[[], None]] = []
    intake = Intake(lambda hello: None, lambda worker, exchange, done: unfinished.append(done))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "feed"))
    sock.listen()
    await intake.start(sock)
    _, feed = await asyncio.open_unix_connection(str(tmp_path / "feed"))
    long = msgspec.structs.replace(EXCHANGE, body=b"x" * 1_500)
    feed.write(encode(Hello("w", {})) + encode(long) * 4)
    await until(lambda: len(unfinished) == 2)
    assert intake.under_way == 2
    for taken in (3, 4):
        unfinished[taken - 3]()
        await until(lambda taken=taken: len(unfinished) == taken)  # type: ignore[misc]
    feed.close()
    for done in unfinished[2:]:
        done()
    await intake.stop(5)
