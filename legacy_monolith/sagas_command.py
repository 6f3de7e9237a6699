"""`python -m legacy_monolith sagas`: which orders are under way, and which compensations wait for a person."""

import argparse
import asyncio
import json
import re
import shlex
import sqlite3
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from legacy_monolith import faults, saga_log, settings
from legacy_monolith.database import open_existing
from legacy_monolith.errors import NotFound, WrongUse
from legacy_monolith.order_request import MAX_ID
from legacy_monolith.running import open_desk
from legacy_monolith.saga import RULES, WAITING, Rest
from legacy_monolith.token_keys import KeyFile

_ID = re.compile(r"[0-9]{1,19}", re.ASCII)


def add_to(commands: "argparse._SubParsersAction[Any]", environment: Mapping[str, str]) -> None:
    """Offer the command."""
    parser = commands.add_parser(
        "sagas",
        help="list orders under way and dead letters, or retry one",
        description="List the orders that are under way, and the compensations that have failed for good. "
        "`sagas retry ORDER` carries the latter out once more.",
        allow_abbrev=False,
    )
    parser.add_argument("what", nargs="*", metavar="retry ORDER", help="retry what was given up for an order")
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    parser.add_argument("--json", action="store_true", help="list as JSON, for programs")
    parser.add_argument(
        "--token-keys",
        type=Path,
        metavar="FILE",
        help="the keys of the shop, to sign the calls of a retry for services that require a login",
    )
    settings.add_options(parser, environment)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says: 0 done, 1 a retry has failed, 2 the request is wrong.

    Raises UnusableDatabase, UnusableKeys, or WrongUse for a request that cannot be understood.
    """
    match options.what:
        case []:
            return _list(options)
        case ["retry", order_id] if _ID.fullmatch(order_id) and int(order_id) <= MAX_ID:
            return _retry(options, int(order_id))
    raise WrongUse(
        f"sagas {' '.join(options.what)}: say `sagas`, or `sagas retry` and the number of an order"
    )


def _list(options: argparse.Namespace) -> int:
    with closing(open_existing(options.database)) as db:
        found = overview(db)
    print(json.dumps(found, indent=2) if options.json else _text(found, _again_with(options)))
    return 0


def _retry(options: argparse.Namespace, order_id: int) -> int:
    keys = KeyFile(options.token_keys) if options.token_keys else None
    with closing(open_existing(options.database)) as db, ThreadPoolExecutor(1) as thread:
        try:
            rest = asyncio.run(_again(db, thread, settings.settings_of(options), keys, order_id))
        except NotFound as error:
            raise WrongUse(str(error)) from error
        left = [letter for letter in saga_log.dead_letters(db) if letter.order_id == order_id]
    for letter in left:
        print(f"order {order_id}: {letter.step} has failed again: {letter.last_error}", file=sys.stderr)
    if not left:
        print(f"order {order_id} is {rest.state}: all that was done for it is undone")
    return 1 if left else 0


async def _again(
    db: sqlite3.Connection,
    thread: ThreadPoolExecutor,
    chosen: settings.Settings,
    keys: KeyFile | None,
    order_id: int,
) -> Rest:
    async with open_desk(db, thread, chosen, faults.nothing, keys, attended=True) as desk:
        return await desk.again(order_id)


def overview(db: sqlite3.Connection) -> dict[str, Any]:
    """Give what the command lists, in the form of `--json`."""
    open_sagas = [(order_id, saga_log.find(db, order_id)) for order_id in saga_log.under_way(db)]
    return {
        "under_way": [
            {
                "order_id": order_id,
                "state": saga.state,
                "step": RULES[saga.state].step,
                "since": saga_log.begun_at(db, order_id),
                "reason": str(saga.refusal) if saga.refusal else None,
            }
            for order_id, saga in open_sagas
            if saga is not None and saga.state not in WAITING
        ],
        "dead_letters": [
            {
                "order_id": letter.order_id,
                "state": letter.state,
                "step": letter.step,
                "request": {
                    "method": "POST",
                    "target": letter.call.target,
                    "body": json.loads(letter.call.body),
                },
                "key": letter.key,
                "attempts": letter.attempts,
                "last_error": letter.last_error,
                "at": letter.at,
            }
            for letter in saga_log.dead_letters(db)
        ],
    }


def _again_with(options: argparse.Namespace) -> str:
    """What a retry has to be told of the shop that was listed: whom it calls, and by which keys."""
    words = ["--database", str(options.database)]
    if options.proxy != settings.Settings().proxy:
        words += ["--proxy", options.proxy]
    if options.token_keys:
        words += ["--token-keys", str(options.token_keys)]
    return shlex.join(words)


def _text(found: dict[str, Any], again_with: str) -> str:
    lines = [f"under way: {len(found['under_way'])}"]
    for saga in found["under_way"]:
        reason = f", for {saga['reason']}" if saga["reason"] else ""
        lines.append(
            f"  order {saga['order_id']}: {saga['state']}, next {saga['step']}, since {saga['since']}{reason}"
        )
    lines.append(f"dead letters: {len(found['dead_letters'])}")
    for letter in found["dead_letters"]:
        request = letter["request"]
        lines += [
            f"  order {letter['order_id']}: {letter['step']} was given up at {letter['at']}, "
            f"{letter['attempts']} attempts: {letter['last_error']}",
            f"    {request['method']} {request['target']} {json.dumps(request['body'])}",
            f"    Idempotency-Key: {letter['key']}",
            f"    python -m legacy_monolith sagas retry {letter['order_id']} {again_with}",
        ]
    return "\n".join(lines)
