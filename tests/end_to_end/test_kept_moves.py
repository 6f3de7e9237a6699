"""A rollback while routes.yaml cannot be written: in force at once, and until the file says otherwise."""

from __future__ import annotations

import asyncio
import json
import sys
from hashlib import sha256
from pathlib import Path

import aiohttp
from aiohttp import web

from strangler.cutover import read_moves
from tests.support.proxy import ROUTES, Proxy, proxy, service
from tests.support.raw import until


def named(name: str) -> object:
    return lambda request: web.json_response({"side": name})


async def side(made: Proxy) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{made.url}/items/1") as answer:
        return str((await answer.json())["side"])


async def is_side(made: Proxy, wanted: str) -> None:
    """Wait until both workers answer from that side, which is as good as known after ten answers."""
    async with asyncio.timeout(15):
        seen: list[str] = []
        while seen[-10:] != [wanted] * 10:
            seen.append(await side(made))


async def command(made: Proxy, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", *words),
        *("--routes", str(made.routes), "--state", str(made.folder / "state")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


async def test_a_rollback_that_the_file_cannot_be_told(tmp_path: Path) -> None:
    all_moved = ROUTES.replace("share: 0% ", "share: 100% ")
    async with service(named("old")) as old, service(named("new")) as new:  # type: ignore[arg-type]
        async with proxy(tmp_path, old, new, routes=all_moved) as made:
            await is_side(made, "new")
            text = made.routes.read_text()
            in_the_way = tmp_path / ".routes.yaml.strangler-new"
            in_the_way.mkdir()
            (in_the_way / "full").touch()
            said = await command(made, "rollback", "item")
            assert said.startswith("item: share 100% -> 0%\nkept in ")
            assert said.endswith("\nin force\n")
            await is_side(made, "old")
            assert made.routes.read_text() == text
            assert "the share holds in place of 100%, as routes.yaml still says" in await command(
                made, "status"
            )
            assert "cannot replace" in await command(made, "share", "item", "50%")
        (tmp_path / "state" / "server.json").unlink(missing_ok=True)
        async with proxy(tmp_path, old, new, routes=all_moved) as made:
            await is_side(made, "old")
            assert "item: share 0%, kept in " in made.log.read_text()
            made.routes.write_text(made.routes.read_text() + "nonsense: [\n")
            await is_side(made, "old")
            made.routes.write_text(text.replace("share: 100% ", "share: 99.999% "))
            await is_side(made, "new")
            await until(lambda: read_moves(tmp_path / "state") == {})
            made.routes.write_text(text)
            taken = f"1 route(s), table {sha256(text.encode()).hexdigest()[:12]}"
            await until(lambda: taken in made.log.read_text())
            await is_side(made, "new")
            assert json.loads(await command(made, "status", "--json"))["kept"] == []


async def test_a_rollback_while_the_file_is_faulty(tmp_path: Path) -> None:
    all_moved = ROUTES.replace("share: 0% ", "share: 100% ")
    async with (
        service(named("old")) as old,  # type: ignore[arg-type]
        service(named("new")) as new,  # type: ignore[arg-type]
        proxy(tmp_path, old, new, routes=all_moved) as made,
    ):
        await is_side(made, "new")
        await until((tmp_path / "state" / "ledger.jsonl").exists)
        text = made.routes.read_text()
        made.routes.write_text(text + "nonsense: [\n")
        said = await command(made, "rollback", "item")
        assert said.startswith("item: share 100% -> 0%\nkept in ")
        assert said.endswith("\nin force\n")
        await is_side(made, "old")
        assert await command(made, "rollback", "item") == "item: share is as low already\n"
        made.routes.write_text(text)
        await until(lambda: "the file says 100%" in made.logged())
        await is_side(made, "old")
