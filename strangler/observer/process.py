"""The observer's life: open the evidence, take exchanges, serve the admin API, settle up, leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import ProcessCollector

from strangler.console import make_app
from strangler.control import Faulty, Line, Message, Reloads, Run, Running
from strangler.cutover import CutoverError, note_by_hand, read_releases
from strangler.cutover.ramps import Ramps
from strangler.cutover.report import report_on
from strangler.cutover.standing import EVIDENCE
from strangler.evidence import Lately, Releases, Store, StoreError, size_of
from strangler.exchange.frames import Hello
from strangler.http.tls import TlsFault
from strangler.observer import metrics
from strangler.observer.intake import Intake
from strangler.observer.mirror import Mirror
from strangler.observer.pipeline import Pipeline
from strangler.observer.sampling import Sampling
from strangler.observer.sheets import Sheets, rows_of
from strangler.routes import Faults, Table

FOLD = 0.25  # seconds between looks at the gateways' counters
FORGET = 600.0  # seconds between looks at what is too old or too much
CLIMB = 1.0  # seconds between looks at the ramps
SETTLE = 8.0  # seconds for exchanges under way when the process is asked to leave
NICE = 10  # how far it stands back behind the gateways (nice(2))

log = logging.getLogger("strangler.observer")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the observer is started with: three descriptors, and where things are."""

    admin: int
    feed: int
    control: int
    state: Path
    routes: Path


def _stand_back() -> None:
    """Where cores are scarce, callers come first: what is not compared in time is dropped and counted."""
    os.nice(NICE)
    with contextlib.suppress(OSError, AttributeError):  # not every system has it, nor lets us
        os.sched_setscheduler(
            0, os.SCHED_BATCH, os.sched_param(0)
        )  # never interrupts a gateway for its own turn


def main(settings: Settings) -> None:
    """Run the observer until it is told to leave."""
    logging.basicConfig(level=logging.INFO, format="strangler: observer: %(message)s", stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    _stand_back()
    try:
        uvloop.run(_Observer(settings).run())
    except StoreError as error:
        # Callers are served without us; the supervisor tries again, and the line says what to mend.
        print(f"strangler: observer: {error}", file=sys.stderr)
        time.sleep(1.0)
        sys.exit(1)


class _Observer:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._leave = asyncio.Event()
        self._have_table = asyncio.Event()
        self._folded = asyncio.Event()
        self._table: Table | None = None
        self._faults: tuple[str, ...] = ()
        self._reloads = Reloads()
        self._pipeline: Pipeline | None = None
        self._store_fault = ""
        self._said = ""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave.set)
        control = socket.socket(fileno=self._settings.control)
        _, self._line = await loop.create_connection(lambda: Line(self._take, self._leave.set), sock=control)
        await self._have_table.wait()
        assert self._table is not None
        with Store.open(self._settings.state / EVIDENCE) as store:
            await self._observe(store, self._table)
        self._line.close()

    async def _observe(self, store: Store, table: Table) -> None:
        mirror = Mirror()
        await self._use(mirror, table)
        self._pipeline = pipeline = Pipeline(table, store, mirror)

        def hello(greeting: Hello) -> None:
            store.lost(greeting.worker, greeting.handed, "observer_restart")

        intake = Intake(hello, pipeline.take)
        sheets = Sheets(self._settings.state, store, intake.busy, rows_of(table))
        sheets.close_forgotten()
        sampling = Sampling(self._settings.state, sheets.totals)
        panel = Panel(self, store, sheets, intake, pipeline, sampling)
        runner = web.AppRunner(make_app(panel), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, socket.socket(fileno=self._settings.admin)).start()
        await intake.start(socket.socket(fileno=self._settings.feed))
        folding = asyncio.create_task(self._fold(sheets, store, pipeline))
        panel.is_ready = True
        self._line.send(Running(table.version))
        following = asyncio.create_task(self._follow(mirror, pipeline, table))
        others = [
            asyncio.create_task(self._reflect(pipeline, sampling)),
            asyncio.create_task(self._forget(store)),
            asyncio.create_task(
                self._climb(Ramps(self._settings.routes, self._settings.state, store.mark), sheets)
            ),
        ]
        await self._leave.wait()
        for task in (following, *others):
            task.cancel()
        panel.is_ready = False
        await intake.stop(SETTLE)
        folding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await folding
        await asyncio.to_thread(sheets.fold, settle_now=True)
        await asyncio.to_thread(store.flush)
        mirror.close()
        await runner.cleanup()

    async def _use(self, mirror: Mirror, table: Table) -> None:
        try:
            await mirror.use(table)
        except TlsFault as error:
            log.error("the upstreams of before are asked for shadows: %s", error)

    async def _follow(self, mirror: Mirror, pipeline: Pipeline, table: Table) -> None:
        """Take newer tables into force, one after the other."""
        await self._note()
        while True:
            if table is self.table:
                await self._have_table.wait()
                self._have_table.clear()
                continue
            table = self.table
            await self._use(mirror, table)
            pipeline.table = table
            self._line.send(Running(table.version))
            await self._note()

    async def _note(self) -> None:
        """Enter into the ledger what was edited by hand."""
        try:
            await asyncio.to_thread(note_by_hand, self._settings.routes, self._settings.state)
        except Faults:
            pass  # the next good save is entered
        except CutoverError as error:
            self._say_once(f"an edit by hand is not in the ledger: {error}")

    async def _fold(self, sheets: Sheets, store: Store, pipeline: Pipeline) -> None:
        while True:
            try:
                await asyncio.to_thread(sheets.fold)
            except OSError as error:
                log.warning("the gateways' counters could not be read: %s", error)
            self._folded.set()
            try:
                pipeline.named = await asyncio.to_thread(read_releases, self._settings.state)
            except CutoverError as error:
                self._say_once(str(error))
            if self._store_fault != store.last_fault:
                self._store_fault = store.last_fault
                log.error("the evidence cannot be written: %s", store.last_fault)
            await asyncio.sleep(FOLD)

    async def _forget(self, store: Store) -> None:
        """Keep the evidence as small as routes.yaml says."""
        while True:
            keep = self.table.evidence
            store.forget(time.time() - keep.days * 86_400, keep.size)
            await asyncio.sleep(FORGET)

    def _say_once(self, fault: str) -> None:
        if fault != self._said:
            self._said = fault
            log.error("%s", fault)

    async def _reflect(self, pipeline: Pipeline, sampling: Sampling) -> None:
        """Take samples of what passes, and tell the pipeline which differences are explained, so that nobody is asked
        about them again: in a thread, and for no more than a fiftieth of a core."""
        await self._folded.wait()  # what the gateways counted before is not from just now
        while True:
            try:
                pipeline.known = await asyncio.to_thread(sampling.look, self.table, time.time())
            except StoreError:
                pass  # told where it is written
            except Exception:
                log.exception("no sample was taken")
            await asyncio.sleep(sampling.rest)

    async def _climb(self, ramps: Ramps, sheets: Sheets) -> None:
        """Look at the ramps, and move what is to be moved: in a thread, and for no more than a tenth of a core."""
        await asyncio.sleep(2 * CLIMB)  # the table that it was started with may be from before a move
        while True:
            try:
                table = self.table
                out = sheets.out_of_order(table.upstreams.values())
                await asyncio.to_thread(ramps.look, table, time.time(), out)
            except (StoreError, CutoverError) as error:
                self._say_once(f"the ramps stand still: {error}")
            except Exception:
                log.exception("the ramps stand still")
            await asyncio.sleep(max(CLIMB, 9 * ramps.took))

    def _take(self, message: Message) -> None:
        if isinstance(message, Run):
            self._table = message.table
            self._have_table.set()
        elif isinstance(message, Faulty):
            self._faults, self._reloads = message.faults, message.reloads

    @property
    def table(self) -> Table:
        assert self._table is not None
        return self._table

    @property
    def faults(self) -> tuple[str, ...]:
        return self._faults

    @property
    def reloads(self) -> Reloads:
        return self._reloads

    @property
    def settings(self) -> Settings:
        return self._settings


class Panel:
    """What the console may ask of the running observer."""

    def __init__(
        self,
        observer: _Observer,
        store: Store,
        sheets: Sheets,
        intake: Intake,
        pipeline: Pipeline,
        sampling: Sampling,
    ) -> None:
        self.routes_file = observer.settings.routes
        self.state = observer.settings.state
        self.token = os.environ.get("STRANGLER_TOKEN") or None
        self.is_ready = False
        self._observer = observer
        self._store = store
        self._sheets = sheets
        self._intake = intake
        self._pipeline = pipeline
        self._sampling = sampling
        self._process = ProcessCollector(registry=None)

    def table(self) -> Table:
        """The running table."""
        return self._observer.table

    def faults(self) -> list[str]:
        """The faults of the last save of routes.yaml, as lines; empty when it was good."""
        return list(self._observer.faults)

    def out(self) -> frozenset[str]:
        """The names of the upstreams that are out of order in some worker."""
        return self._sheets.out_of_order(self._observer.table.upstreams.values())

    def ready(self) -> bool:
        """True while exchanges are taken."""
        return self.is_ready

    def report(self, route: str | None, releases: Releases | None = None) -> dict[str, Any]:
        """The report as of now, on one route or on all; on one perhaps at a pair of releases of the past."""
        self._sheets.fold()
        self._store.flush()
        return report_on(self._observer.table, self.state, route, releases)

    def lately(self) -> Lately:
        """What has passed in the last minute and the last hour."""
        return self._sampling.lately(time.time())

    def metrics(self, report: dict[str, Any] | None) -> bytes:
        """The Prometheus text, with what a report says; None where it could not be had."""
        observer, sheets, store = self._observer, self._sheets, self._store
        numbers = metrics.Numbers(
            table=observer.table,
            totals=sheets.totals(),
            now=sheets.now(),
            booked=store.booked(),
            workers=sheets.workers,
            faults=len(observer.faults),
            reloads=observer.reloads,
            under_way=self._intake.under_way,
            unrecorded=self._pipeline.unrecorded,
            queued=store.queued,
            write_faults=store.faults,
            evidence_bytes=size_of(self.state / EVIDENCE),
            report=report,
        )
        return metrics.render(numbers, [self._process])
