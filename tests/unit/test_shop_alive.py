"""A stream on which nothing happens: with clocks that pass faster."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from legacy_monolith import seed, status_stream
from legacy_monolith.database import open_writer
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.orders import place
from legacy_monolith.web import make_app


def fill(db: sqlite3.Connection) -> None:
    seed.fill(db, 2019)


async def test_a_comment_says_that_the_stream_is_alive_and_it_does_not_last_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LOOK", 0.005), ("ALIVE", 0.05), ("LONGEST", 0.5)):
        monkeypatch.setattr(status_stream, name, seconds)
    path = tmp_path / "shop.sqlite3"
    with closing(open_writer(path, fill)) as db:
        wanted = OrderRequest(7, (Item("TEA-001", 1),), "card", "tok_visa")
        order_id = place(db, wanted, "2019-04-01T12:00:00Z")
        async with TestClient(TestServer(make_app(db, path, "test"))) as client:
            answer = await client.get(f"/orders/{order_id}/events")
            parts = (await answer.read()).split(b"\n\n")
    assert parts[0].startswith(b"id: 2\nevent: status\n")
    assert set(parts[1:-1]) == {b": alive"}
    assert 1 <= len(parts[1:-1]) <= 10
    assert parts[-1] == b""
