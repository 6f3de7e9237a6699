"""The projector: keeps the catalogue up to date beside the serving, on a thread and a connection of its own."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from aiohttp import web

from extracted.inventory.database import open_existing
from extracted.inventory.projecting import project_some

EVERY = 0.1  # seconds between two looks for new events
BREATH = 0.01  # seconds between two batches, for others want to write too

_log = logging.getLogger(__name__)


def beside(database: Path, clock: Callable[[], float]) -> Callable[[web.Application], AsyncIterator[None]]:
    """Give what projects while an application serves. `clock` gives seconds since the epoch."""

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        with closing(open_existing(database)) as db:
            # What a power cut takes back is projected again: how far it has come goes with it.
            db.execute("PRAGMA synchronous = NORMAL")
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="projector") as thread:
                task = asyncio.create_task(_project(db, thread, clock))
                yield
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    return lifetime


async def _project(db: sqlite3.Connection, thread: ThreadPoolExecutor, clock: Callable[[], float]) -> None:
    """Project until cancelled. Whatever goes wrong, go on."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            more = await loop.run_in_executor(thread, project_some, db, clock)
        except sqlite3.OperationalError as error:
            _log.info("the catalogue has to wait: %s", error)
            more = 0
        except Exception:
            _log.exception("the catalogue cannot be brought up to date")
            more = 0
        await asyncio.sleep(BREATH if more else EVERY)
