"""Bringing the catalogue up to date with the history, batch by batch, and building it anew.

How far it has come is noted in the transaction that writes its rows. So a batch is in it or not, wherever a process
dies, and of several processes that work at it, one gets to write each batch.
"""

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from extracted.inventory import catalogue, events, handling, history, projection
from extracted.inventory.catalogue import Place, State
from extracted.inventory.events import Event
from extracted.inventory.history import Holes
from extracted.inventory.problems import Malformed, UnknownEvent
from extracted.inventory.projection import Row
from shop_events import outbox
from shop_events.outbox import Told
from shop_events.transactions import transaction

BATCH = 500  # events of each of the two histories

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """The next events: the rows that they change, how far the catalogue is with them, and how old the oldest is."""

    rows: dict[str, Row]
    reached: State
    since: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the catalogue stands: products, events in it, events still to be projected and since when, and holes."""

    products: int
    state: State
    behind: int
    since: str | None
    holes: Holes

    @property
    def lacks(self) -> list[str]:
        """Say what the history lacks; nothing when it is whole, as far as can be known."""
        bodiless, missing, sources = self.holes.bodiless, self.holes.missing, self.holes.sources
        said = []
        if not sources:
            said.append("nothing was imported yet")
        if sources > 1:
            said.append(
                f"{sources} monoliths were imported, and their stocks add up: begin with a new database"
            )
        if bodiless:
            said.append(
                f"{bodiless} events were handled before events were kept: have the shop tell everything again, "
                "with `events unsubscribe` and `events subscribe`"
            )
        if missing is None:
            said.append("how many events the monolith had told is not known: an `import` counts them")
        if missing:
            said.append(
                f"{missing} events from before the import have not come yet: the shop's relay brings them"
            )
        if self.state.unreadable:
            said.append(
                f"{self.state.unreadable} events are of a form that this release does not know: "
                "use a newer one, and `rebuild`"
            )
        return said


def project_some(db: sqlite3.Connection, clock: Callable[[], float]) -> int:
    """Project the next batch; gives how many events it had. `clock` gives seconds since the epoch."""
    before = catalogue.state(db)
    batch = next_batch(db, before, "main")
    if batch is None:
        return 0
    waited = max(0.0, round(clock() - seconds(batch.since), 3))
    with transaction(db):
        if catalogue.advance(db, before, replace(batch.reached, waited=waited)):
            catalogue.write(db, "main", batch.rows.values())
    return batch.reached.events - before.events


def rebuild(db: sqlite3.Connection, tell: Callable[[int, int], None]) -> Standing:
    """Build the catalogue anew, beside the old one, and put it in its place at the end.

    `tell` hears how many events are projected, and how many there are. Whatever it raises leaves the old catalogue.
    """
    catalogue.begin_anew(db)
    now = State()
    total = events_in_all(db)
    tell(0, total)
    while batch := next_batch(db, now, "temp"):
        db.execute("BEGIN")  # of the new tables alone: nobody waits for it
        catalogue.write(db, "temp", batch.rows.values())
        db.execute("COMMIT")
        now = batch.reached
        tell(now.events, max(total, now.events))
    with transaction(db):
        # What came meanwhile: the new one is never behind the old, so who planned from that one is found out.
        while batch := next_batch(db, now, "temp"):
            catalogue.write(db, "temp", batch.rows.values())
            now = batch.reached
        catalogue.swap(db, now)
        return standing(db)


def next_batch(db: sqlite3.Connection, at: State, place: Place) -> Batch | None:
    """Give what the next events make of the catalogue; None when there are none."""
    others = list(history.after(db, at.position, BATCH))
    own = outbox.after(db, at.sequence, BATCH)
    if not others and not own:
        return None
    source = outbox.source(db)
    read = [*(_parse(each.event) for each in others), *(_parse(_shown(source, each)) for each in own)]
    readable = [each for each in read if each is not None]
    skus = {each.body.sku for each in readable}
    reached = replace(
        at,
        position=others[-1].position if others else at.position,
        sequence=own[-1].sequence if own else at.sequence,
        events=at.events + len(read),
        unreadable=at.unreadable + len(read) - len(readable),
    )
    since = min([each.kept_at for each in others[:1]] + [each.at for each in own[:1]])
    return Batch(projection.fold(catalogue.rows(db, place, skus), readable), reached, since)


def standing(db: sqlite3.Connection) -> Standing:
    """Say how the catalogue stands, at this moment if there is a transaction."""
    state = catalogue.state(db)
    others, own = next(history.after(db, state.position, 1), None), outbox.after(db, state.sequence, 1)
    return Standing(
        products=catalogue.count(db),
        state=state,
        behind=history.count_after(db, state.position) + outbox.last(db) - state.sequence,
        since=min([each.at for each in own] + ([others.kept_at] if others else []), default=None),
        holes=history.holes(db, handling.sources(db)),
    )


def events_in_all(db: sqlite3.Connection) -> int:
    """Count the events of the history, others' and own."""
    return history.count_after(db, 0) + outbox.last(db)


def seconds(at: str) -> float:
    """Give a time of the database in seconds since the epoch."""
    return datetime.fromisoformat(at).timestamp()


def _parse(told: str) -> Event | None:
    """Read an event of the history; None for one that a newer release has kept."""
    try:
        return events.parse(told)
    except (Malformed, UnknownEvent) as error:
        _log.error("an event of the history cannot be read: %s", error)
        return None


def _shown(source: str | None, own: Told) -> str:
    return own.to_wire(source, own.version, json.loads(own.data))
