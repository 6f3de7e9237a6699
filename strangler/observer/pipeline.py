"""From an exchange to an observation: send the shadow, compare the answers, record the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from random import Random

from strangler.compare import Difference, Incomparable
from strangler.cutover import release_of
from strangler.evidence import Observation, Outcome, Releases, Store
from strangler.exchange.model import Answer, Exchange
from strangler.http.headers import first
from strangler.observer.allowance import Allowance
from strangler.observer.copy import NoShadow
from strangler.observer.mirror import FAILURES, Mirror
from strangler.observer.trial import Trial
from strangler.routes import WHOLE, Route, Side, Table

#: The header in which a side names the version that answered.
RELEASE_HEADER = b"x-release"
#: Mismatches of one route that both sides are asked about again, a second. What is beyond is believed at once.
CONFIRMATIONS = 5.0

log = logging.getLogger("strangler.observer")


class Pipeline:
    """Takes exchanges and records observations. `table` is replaced whole when the running table changes."""

    def __init__(self, table: Table, store: Store, mirror: Mirror) -> None:
        self.table = table
        self.unrecorded = (
            0  # observations that the store could not take: they show as pending, never as compared
        )
        self._store = store
        self._mirror = mirror
        self._releases: dict[str, str] = {}  # the last release each upstream named
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = Random()
        self._confirmations = Allowance(CONFIRMATIONS)
        self.known: Mapping[str, frozenset[str]] = {}
        """Per route the fingerprints that need no confirmation, because they are noise or accepted."""
        self.named: dict[str, str] = {}
        """The releases that `strangler release` has set, for sides that do not say theirs."""

    def take(self, worker: str, exchange: Exchange, done: Callable[[], None]) -> None:
        """Start on an exchange; `done` is called when it has been recorded."""
        task = asyncio.get_running_loop().create_task(self.observe(worker, exchange))
        self._tasks.add(task)

        def settle(finished: asyncio.Task[None]) -> None:
            self._tasks.discard(finished)
            done()

        task.add_done_callback(settle)

    async def observe(self, worker: str, exchange: Exchange) -> None:
        """Take one exchange all the way to the store."""
        table = self.table
        route = table.route(exchange.route)
        try:
            observation = await self._observation(table, route, worker, exchange)
        except Exception:
            log.exception("could not compare an exchange of route %s", exchange.route)
            observation = self._skipped(table, route, worker, exchange, "observer_failed")
        if not self._store.record(observation):
            self.unrecorded += 1

    async def _observation(
        self, table: Table, route: Route | None, worker: str, exchange: Exchange
    ) -> Observation:
        if route is None:
            return self._skipped(table, None, worker, exchange, "route_gone")
        self._note_release(table, route, exchange.side, exchange.answer)
        trial = Trial(table, route, exchange, self._store.key)
        again = self._asked_twice(trial) if self._is_probed(trial) else None
        try:
            shadow = await self._mirror.ask(table, route, exchange, trial.other)
        except NoShadow as error:
            asked = f"shadow_{trial.other}_failed" if error.reason in FAILURES else ""
            return self._skipped(table, route, worker, exchange, error.reason, asked)
        finally:
            second = await again if again is not None else None
        asked = f"shadow_{trial.other}_{'5xx' if shadow.status >= 500 else 'ok'}"
        self._note_release(table, route, trial.other, shadow)
        releases = self._pair(table, route)  # those that gave these answers, whoever answers later on
        try:
            found = trial.compare(exchange.answer, shadow)
        except Incomparable as error:
            return self._skipped(table, route, worker, exchange, error.reason, asked)
        lasting = found.differences
        gone: tuple[Difference, ...] = ()
        settled: float | None = None
        if lasting and self._is_confirmed(trial, lasting):
            lasting, gone, settled = await self._confirmed(trial, lasting, shadow)
        outcome: Outcome = "mismatch" if lasting else ("transient" if gone else "match")
        legacy, extracted = trial.sides(exchange.answer, shadow)
        return Observation(
            route=exchange.route,
            method=exchange.method,
            target=trial.target,
            at=exchange.at,
            releases=releases,
            outcome=outcome,
            worker=worker,
            differences=lasting,
            statuses=(legacy.status, extracted.status),
            latency_ms=(legacy.milliseconds, extracted.milliseconds),
            caller=trial.hashed(exchange.caller.to_bytes(8, "big")),
            example=trial.example(exchange.answer, shadow) if lasting else None,
            request=trial.request,
            gone=gone,
            settled_ms=settled,
            rules=found.used,
            probe=trial.probe(second, found.differences) if second is not None else None,
            shadow=asked,
        )

    # -- asking the side that answered again -----------------------------------------------------------

    def _is_probed(self, trial: Trial) -> bool:
        return trial.is_safe and self._random.randrange(WHOLE) < trial.route.compare.noise

    def _asked_twice(self, trial: Trial) -> asyncio.Task[Answer | None]:
        """At the same moment as the shadow, so that as much may have happened meanwhile."""
        return asyncio.get_running_loop().create_task(self._again(trial, trial.exchange.side))

    async def _again(self, trial: Trial, side: Side) -> Answer | None:
        with contextlib.suppress(NoShadow):
            return await self._mirror.ask(self.table, trial.route, trial.exchange, side)
        return None

    def _is_confirmed(self, trial: Trial, differences: tuple[Difference, ...]) -> bool:
        """Whether to ask both sides again: not about what is known, and never more often than they can bear."""
        if not trial.is_safe or trial.route.compare.confirm is None:
            return False
        known = self.known.get(trial.route.name, frozenset())
        if all(trial.fingerprint(each) in known for each in differences):
            return False
        return self._confirmations.take(trial.route.name, asyncio.get_running_loop().time())

    async def _confirmed(
        self, trial: Trial, before: tuple[Difference, ...], shadow: Answer
    ) -> tuple[tuple[Difference, ...], tuple[Difference, ...], float | None]:
        """What is still there after a while, what is not, and the milliseconds until then."""
        started = time.monotonic()
        await asyncio.sleep(trial.route.compare.confirm or 0.0)
        one, other = await asyncio.gather(
            self._again(trial, trial.exchange.side), self._again(trial, trial.other)
        )
        if one is None or other is None:
            return before, (), None
        if (_release(one), _release(other)) != (_release(trial.exchange.answer), _release(shadow)):
            return before, (), None  # another release mends nothing in the one that was wrong
        try:
            now = {trial.fingerprint(each) for each in trial.compare(one, other).differences}
        except Incomparable:
            return before, (), None
        lasting = tuple(each for each in before if trial.fingerprint(each) in now)
        gone = tuple(each for each in before if trial.fingerprint(each) not in now)
        return lasting, gone, (time.monotonic() - started) * 1000.0 if gone else None

    def _skipped(
        self, table: Table, route: Route | None, worker: str, exchange: Exchange, reason: str, asked: str = ""
    ) -> Observation:
        return Observation(
            route=exchange.route,
            method=exchange.method,
            target="",
            at=exchange.at,
            releases=self._pair(table, route) if route is not None else Releases("", ""),
            outcome="skipped",
            worker=worker,
            reason=reason,
            caller=exchange.caller,
            shadow=asked,
        )

    def _note_release(self, table: Table, route: Route, side: str, answer: Answer) -> None:
        upstream = table.legacy if side == "legacy" else route.extracted
        release = _release(answer)
        # An error page, often somebody else's, does not say that another release answers now.
        if release or answer.status < 500:
            self._releases[upstream] = release

    def _pair(self, table: Table, route: Route) -> Releases:
        return Releases(
            self._releases.get(table.legacy, "") or release_of(self.named, table.legacy),
            self._releases.get(route.extracted, "") or release_of(self.named, route.extracted, route.name),
        )


def _release(answer: Answer) -> str:
    named = first(answer.headers, RELEASE_HEADER)
    return named.decode("latin-1")[:100] if named else ""
