"""`python -m legacy_monolith price`: give a product another price."""

import argparse
from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from legacy_monolith import catalogue
from legacy_monolith.database import open_existing
from legacy_monolith.errors import WrongUse
from shop_events.transactions import transaction

MOST_CENTS = 10**9


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Offer the command."""
    parser = commands.add_parser(
        "price",
        help="give a product another price",
        description="Give a product another price, whether the shop runs or not. Orders that were placed keep theirs; "
        "who subscribed to `PriceChanged` is told.",
        allow_abbrev=False,
    )
    parser.add_argument("sku", metavar="SKU", help="the product, such as TEA-001")
    parser.add_argument(
        "price", type=_cents, metavar="EUROS", help="what it costs from now on, such as 12.90"
    )
    parser.add_argument("--database", type=Path, required=True, metavar="FILE", help="the SQLite database")


def run(options: argparse.Namespace) -> int:
    """Change the price, whether the shop runs or not: 0 done. Raises UnusableDatabase, WrongUse."""
    with closing(open_existing(options.database)) as db, transaction(db):
        product = catalogue.reprice(db, options.sku, options.price)
        if product is None:
            raise WrongUse(f"there is no product {options.sku}")
    print(f"{product.sku} {product.name} costs {product.price_cents / 100:.2f}")
    return 0


def _cents(text: str) -> int:
    try:
        cents = Decimal(text) * 100
        if 1 <= cents <= MOST_CENTS and cents == int(cents):
            return int(cents)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a price such as 12.90")
