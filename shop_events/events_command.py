"""`events`: who gets the events, who is behind, and what could not be delivered."""

import argparse
import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shop_events import arrivals, arriving, deliveries
from shop_events import stream as streams
from shop_events.arrivals import DeadArrival
from shop_events.delivery import Taken
from shop_events.optional import check_redis
from shop_events.program import Program, WrongUse, is_name
from shop_events.transactions import transaction

MOST_SHOWN = 2_000  # characters of an event; `--json` says all of it
FORMS = "subscribe NAME URL TYPE... | unsubscribe NAME | retry ID | drop ID"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Offer the command."""
    parser = commands.add_parser(
        "events",
        help="list the consumers of events and the dead letters, or change who gets what",
        description="List who gets the events, how far behind they are, and the events that could not be "
        "delivered. `events subscribe NAME URL TYPE...` enters a consumer, TYPE@1 for one that knows version 1 "
        "only; `events unsubscribe NAME` forgets it; `events retry ID` has a dead letter delivered once more, by "
        "the relay, or handled at once if it came through a stream; `events drop ID` forgets one of these.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar=FORMS,
        help="what to do",
    )
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    parser.add_argument("--json", action="store_true", help="list as JSON, for programs")


def run(program: Program, options: argparse.Namespace) -> int:
    """Do what the command line says: 0 done, 1 failed once more.

    Raises WrongUse for what makes no sense, and what the program raises for an unusable database.
    """
    with closing(program.open_existing(options.database)) as db:
        match options.what:
            case []:
                found = overview(db)
                print(
                    json.dumps(found, indent=2) if options.json else _text(program, found, options.database)
                )
            case ["subscribe", name, url, *types]:
                _subscribe(program, db, name, url, types)
            case ["unsubscribe", name]:
                with transaction(db):
                    if not deliveries.unsubscribe(db, name):
                        raise WrongUse(f"there is no consumer {name}")
                print(f"{name} gets no events any more")
            case ["retry", event_id] if letter := arrivals.find(db, event_id):
                return _handle(program, db, letter)
            case ["drop", event_id]:
                if not arrivals.find(db, event_id):
                    raise WrongUse(f"event {event_id} is no dead letter that came through a stream")
                arrivals.settle(db, event_id)
                print(f"event {event_id} is forgotten")
            case ["retry", event_id]:
                with transaction(db):
                    consumers = deliveries.dig_out(db, event_id)
                if not consumers:
                    raise WrongUse(f"event {event_id} is no dead letter")
                print(f"event {event_id} goes to {', '.join(consumers)} once more, as soon as a relay runs")
            case _:
                raise WrongUse(f"events {' '.join(options.what)}: say one of {FORMS} (--help says more)")
    return 0


def _handle(program: Program, db: sqlite3.Connection, letter: DeadArrival) -> int:
    heard = arriving.retry(program, db, letter)
    if isinstance(heard, Taken):
        print(f"event {letter.id} has had its effect")
        return 0
    print(f"{program.command}: event {letter.id} has failed once more: {heard.text}", file=sys.stderr)
    return 1


def _subscribe(program: Program, db: sqlite3.Connection, name: str, url: str, types: list[str]) -> None:
    if not is_name(name):
        raise WrongUse(f"{name!r} is no name for a consumer: small letters, digits and dashes")
    if streams.is_stream(url):
        _check_stream(db, name, url)
    elif not _usable(url):
        raise WrongUse(f"{url!r} is not an address such as {program.example}")
    wanted = dict(_type_of(program.newest, each) for each in types)
    if not wanted:
        raise WrongUse(f"say which events {name} gets: {', '.join(program.newest)}")
    with transaction(db):
        deliveries.subscribe(db, name, url, wanted)
    print(
        f"{name} gets {', '.join(f'{each}@{version}' for each, version in sorted(wanted.items()))} "
        f"at {streams.shown(url)}"
    )


def _check_stream(db: sqlite3.Connection, name: str, url: str) -> None:
    """A stream is one consumer's, for each gets the types that it asked for."""
    check_redis()
    try:
        wanted = streams.parse(url)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    for each in deliveries.subscriptions(db):
        if each.consumer != name and streams.is_stream(each.url) and streams.parse(each.url) == wanted:
            raise WrongUse(
                f"the stream {wanted.name} is that of {each.consumer} already; give {name} another"
            )


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _type_of(known: Mapping[str, int], text: str) -> tuple[str, int]:
    name, _, version = text.partition("@")
    newest = known.get(name)
    if newest is None:
        raise WrongUse(f"{name!r} is no event: {', '.join(known)}")
    if version and version not in map(str, range(1, newest + 1)):
        raise WrongUse(f"{name} has no version {version}, only up to {newest}")
    return name, int(version or newest)


def overview(db: sqlite3.Connection) -> dict[str, Any]:
    """Give what the command lists, in the form of `--json`."""
    return {
        "consumers": [asdict(lag) for lag in deliveries.lags(db)],
        "dead_letters": [
            {
                "id": dead.event.id,
                "consumer": dead.consumer,
                "type": dead.event.type,
                "version": dead.event.version,
                "key": dead.event.key,
                "sequence": dead.event.sequence,
                "data": json.loads(dead.event.data),
                "attempts": dead.attempts,
                "last_error": dead.last_error,
                "at": dead.at,
            }
            for dead in deliveries.dead_events(db)
        ]
        + [_arrived(letter) for letter in arrivals.every(db)],
    }


def _arrived(letter: DeadArrival) -> dict[str, Any]:
    """A dead letter that came through a stream: what it says of itself, and where it is."""
    said = {name: letter.member(name) for name in ("type", "version", "key", "sequence", "data")}
    place = {"stream": letter.stream, "entry": letter.entry, "body": letter.body}
    failed = {"attempts": letter.attempts, "last_error": letter.last_error, "at": letter.at}
    return {"id": letter.id, "consumer": letter.consumer, **said, **failed, **place}


def _text(program: Program, found: dict[str, Any], database: Path) -> str:
    lines = [f"consumers: {len(found['consumers'])}"]
    for lag in found["consumers"]:
        behind = f"{lag['events']} events behind, since {lag['since']}" if lag["events"] else "up to date"
        lines.append(
            f"  {lag['consumer']}: {behind}, at {lag['cursor']}; {lag['url']} {' '.join(lag['types'])}"
        )
    lines.append(f"dead letters: {len(found['dead_letters'])}")
    for dead in found["dead_letters"]:
        what = f"{dead['type']} {dead['version']} of {dead['key']}"
        if "entry" in dead:
            what = f"entry {dead['entry']} of the stream {dead['stream']}"
        lines += [
            f"  {dead['consumer']}: {what} was given up at "
            f"{dead['at']}, {dead['attempts']} attempts: {dead['last_error']}",
            f"    {json.dumps(dead.get('body') or dead['data'])[:MOST_SHOWN]}",
            f"    {program.command} events retry {dead['id']} --database {database}",
        ]
    return "\n".join(lines)
