"""What people who run the shop type: `keys rotate`, and `order` for what the warehouse has done."""

import argparse
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from legacy_monolith import progress, token_keys
from legacy_monolith.database import open_existing
from legacy_monolith.errors import NotFound, Refused
from legacy_monolith.front import find_order
from shop_events.transactions import transaction

COMMANDS = ("keys", "order")


def add_commands(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the commands of COMMANDS to the command line."""
    keys = commands.add_parser("keys", help="the keys that sign tokens", allow_abbrev=False)
    rotate = keys.add_subparsers(dest="what", required=True, metavar="{rotate}").add_parser(
        "rotate",
        help="sign with a new key; the old one is believed until its tokens are over",
        description="Sign with a new key from now on. The old one is believed until its last token is over, so nobody "
        "notices; the shop and its services read the file anew when it changes.",
    )
    rotate.add_argument(
        "--token-keys", type=Path, required=True, metavar="FILE", help="the keys; made when there are none"
    )
    rotate.add_argument(
        "--at-once", action="store_true", help="believe no old key any more: one of them has leaked"
    )
    rotate.set_defaults(do=_rotate)
    order = commands.add_parser(
        "order",
        help="tell what the warehouse has done with an order",
        description="Tell what the warehouse has done with an order: a confirmed one is packed, and a packed one "
        "shipped. Whoever follows the order sees it at once.",
        allow_abbrev=False,
    )
    order.add_argument("order_id", type=int, metavar="ORDER", help="its number, such as 10801")
    order.add_argument("status", choices=list(progress.NEXT.values()), help="what it is from now on")
    order.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")
    order.set_defaults(do=_order)


def run(options: argparse.Namespace) -> int:
    """Do what was typed; the exit code: 1 where the shop refuses. Raises UnusableDatabase, UnusableKeys."""
    try:
        print(options.do(options))
    except Refused as refusal:
        print(f"python -m legacy_monolith: {refusal}", file=sys.stderr)
        return 1
    return 0


def _rotate(options: argparse.Namespace) -> str:
    """Raises UnusableKeys."""
    keys = token_keys.rotate(options.token_keys, int(time.time()), at_once=options.at_once)
    old = ", ".join(f"{name} until {_time(key.until)}" for name, key in keys.each.items() if key.until)
    return f"{keys.current} signs from now on; believed as well: {old or 'no other'}"


def _order(options: argparse.Namespace) -> str:
    """Raises Refused, UnusableDatabase."""
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    with closing(open_existing(options.database)) as db, transaction(db):
        order = find_order(db, options.order_id) if 0 < options.order_id < 2**63 else None
        if order is None:
            raise NotFound(f"there is no order {options.order_id}")
        before = progress.advance(db, order, options.status, at)
    return f"order {options.order_id}: {before.status}, now {options.status}"


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
