"""Seed data: a shop with a past, the same for the same seed.

The past is made through the same doors as the present: every order of it was placed by `orders`.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from random import Random

from legacy_monolith import accounts, catalogue, demo_logins, orders, payments, progress, stock
from legacy_monolith.catalogue import Product
from legacy_monolith.order_request import Item, OrderRequest

ACCOUNTS = 200
ORDERS = 800
SCARCE_EVERY = 10  # every tenth product is nearly gone, and nobody in the past has ordered it

# category: (prefix of the sku, tax in percent, lowest and highest price in tenths of a euro, names)
_RANGE: dict[str, tuple[str, int, int, int, str]] = {
    "tea": ("TEA", 7, 38, 189, "Assam Ceylon Darjeeling Genmaicha Lapsang Oolong Pu-Erh Sencha"),
    "coffee": ("COF", 7, 59, 249, "Antigua Bourbon Gayo Huila Kenya Mandheling Sidamo Yirgacheffe"),
    "cup": ("CUP", 19, 69, 279, "Bowl Beaker Espresso Goblet Mug Saucer Tumbler Yunomi"),
    "pot": ("POT", 19, 249, 899, "Cafetiere Gaiwan Ibrik Kettle Kyusu Percolator Samovar Teapot"),
    "tool": ("TOO", 19, 29, 499, "Brush Caddy Filter Grinder Scale Scoop Strainer Whisk"),
}
# code: (name, picking rank, chance that it holds a product)
_WAREHOUSES = {"LEJ": ("Leipzig", 1, 1.0), "BER": ("Berlin", 2, 0.8), "MUC": ("Munich", 3, 0.6)}
_GIVEN = "Ada Alan Barbara Donald Edsger Frances Grace Hedy Joan John Ken Leslie Margaret Radia Tony Vint"
_FAMILY = (
    "Allen Backus Clarke Dahl Floyd Hamilton Hoare Hopper Keller Lamarr Liskov Naur Perlman Ritchie Wirth"
)
_OPENED = datetime(2017, 3, 1, 8, 0, tzinfo=UTC)


def fill(db: sqlite3.Connection, seed: int) -> None:
    """Fill an empty database; the caller holds the transaction."""
    random = Random(seed)
    for code, (name, picking_rank, _) in _WAREHOUSES.items():
        stock.open_warehouse(db, code, name, picking_rank)
    plentiful = _fill_shelves(db, random)
    _open_accounts(db, random)
    demo_logins.fill(db)
    _live_the_past(db, random, plentiful)


def _fill_shelves(db: sqlite3.Connection, random: Random) -> list[str]:
    plentiful = []
    count = 0
    for category, (prefix, tax_percent, cheapest, dearest, names) in _RANGE.items():
        for number, name in enumerate(names.split(), 1):
            sku = f"{prefix}-{number:03}"
            price_cents = 10 * random.randint(cheapest, dearest)
            catalogue.add(db, Product(sku, name, category, price_cents, tax_percent))
            stock.add_item(db, sku, price_cents * random.randint(35, 65) // 100, random.randrange(10, 60, 5))
            count += 1
            if count % SCARCE_EVERY:
                plentiful.append(sku)
                _deliver(db, random, sku)
            else:
                stock.receive(db, sku, "LEJ", random.randint(1, 4))
    return plentiful


def _deliver(db: sqlite3.Connection, random: Random, sku: str) -> None:
    for code, (_, _, chance) in _WAREHOUSES.items():
        if random.random() < chance:
            stock.receive(db, sku, code, random.randint(150, 400))


def _open_accounts(db: sqlite3.Connection, random: Random) -> None:
    for account_id in range(1, ACCOUNTS + 1):
        given, family = random.choice(_GIVEN.split()), random.choice(_FAMILY.split())
        email = f"{given}.{family}.{account_id}@example.org".lower()
        since = _OPENED + timedelta(days=random.randrange(300))
        accounts.add(db, account_id, f"{given} {family}", email, since.date().isoformat())
        accounts.deposit(db, account_id, random.choice([0, 0, 2_000, 10_000, 50_000]))


def _live_the_past(db: sqlite3.Connection, random: Random, plentiful: list[str]) -> None:
    now = _OPENED + timedelta(days=300)
    for _ in range(ORDERS):
        now += timedelta(minutes=random.randint(5, 900), seconds=random.randrange(60))
        wanted = _some_order(random, plentiful)
        if wanted.method == "balance":
            accounts.deposit(db, wanted.account_id, 10 * random.randint(5_000, 20_000))
        order_id = orders.place_within(db, wanted, _at(now))
        _refund_some(db, random, order_id)
        order = {"order_id": order_id, "placed_at": _at(now)}
        progress.advance(db, order, "packed", _at(now + timedelta(hours=20)))
        progress.advance(db, order, "shipped", _at(now + timedelta(hours=26)))


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _some_order(random: Random, plentiful: list[str]) -> OrderRequest:
    skus = random.sample(plentiful, random.choice([1, 1, 1, 2, 2, 3]))
    by_card = random.random() < 0.8
    return OrderRequest(
        # The last twentieth of the accounts has never bought anything.
        account_id=random.randint(1, ACCOUNTS * 19 // 20),
        items=tuple(Item(sku, random.choice([1, 1, 1, 2, 2, 3])) for sku in skus),
        method="card" if by_card else "balance",
        card="tok_visa" if by_card else None,
    )


def _refund_some(db: sqlite3.Connection, random: Random, order_id: int) -> None:
    if random.random() >= 0.12:
        return
    payment_id = payments.id_for_order(db, order_id)
    amount_cents = payments.amount(db, payment_id)
    payments.refund(db, payment_id, amount_cents if random.random() < 0.5 else amount_cents // 3)
