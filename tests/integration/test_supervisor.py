"""The supervisor's watch over the files that say which table runs, without any process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from strangler import supervisor
from strangler.cutover import roll_back
from tests.support.raw import until

TEXT = """\
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes: [{name: pay, match: /pay, extracted: new, share: 100%}]
"""


class Watching(supervisor._Supervisor):
    """Only the watch, until the table says what the test waits for."""

    async def run(self) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            await until(lambda: self._table.share_of("pay") == 0)
        finally:
            watching.cancel()
            await asyncio.wait([watching])


@pytest.mark.parametrize("how", ["saved", "rolled back"])
def test_what_changes_while_the_file_is_read_at_the_start_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    routes, state = tmp_path / "routes.yaml", tmp_path / "state"
    routes.write_text(TEXT)

    def sockets(*_: object) -> SimpleNamespace:
        if how == "saved":
            routes.write_text(TEXT.replace("100%", "0%"))
        else:
            in_the_way = tmp_path / ".routes.yaml.strangler-new"
            in_the_way.mkdir()
            (in_the_way / "full").touch()
            roll_back(routes, state, "pay", None, who="me", why="")
        silent = SimpleNamespace(fileno=lambda: -1)
        return SimpleNamespace(gateways=[], admin=silent, feed=silent, feed_path="")

    monkeypatch.setattr(supervisor, "_Supervisor", Watching)
    monkeypatch.setattr(supervisor, "Sockets", sockets)
    assert supervisor.serve(routes, state, 1) == 0
