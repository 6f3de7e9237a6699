"""Catalogue: what the shop sells, at which price, with which tax."""

import sqlite3
from dataclasses import dataclass

from legacy_monolith import money
from shop_events import outbox

SCHEMA = (
    """CREATE TABLE products (
        sku TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        category TEXT NOT NULL,
        price_cents INTEGER NOT NULL CHECK (price_cents > 0),
        tax_percent INTEGER NOT NULL CHECK (tax_percent BETWEEN 0 AND 100)
    ) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that can be ordered; the price includes the tax."""

    sku: str
    name: str
    category: str
    price_cents: int
    tax_percent: int

    def to_wire(self) -> dict[str, object]:
        """Show the product as the API does."""
        return {
            "sku": self.sku,
            "name": self.name,
            "category": self.category,
            "price": money.to_wire(self.price_cents),
            "tax_percent": self.tax_percent,
        }


_SELECT = "SELECT sku, name, category, price_cents, tax_percent FROM products"


def find(db: sqlite3.Connection, sku: str) -> Product | None:
    """Find a product by its stock-keeping unit."""
    row = db.execute(f"{_SELECT} WHERE sku = ?", (sku,)).fetchone()
    return Product(*row) if row else None


def every(db: sqlite3.Connection, category: str | None = None) -> list[Product]:
    """List the products, or those of one category, by sku."""
    if category is None:
        rows = db.execute(f"{_SELECT} ORDER BY sku")
    else:
        rows = db.execute(f"{_SELECT} WHERE category = ? ORDER BY sku", (category,))
    return [Product(*row) for row in rows]


def add(db: sqlite3.Connection, product: Product) -> None:
    """Put a product into the catalogue."""
    db.execute(
        "INSERT INTO products (sku, name, category, price_cents, tax_percent) VALUES (?, ?, ?, ?, ?)",
        (product.sku, product.name, product.category, product.price_cents, product.tax_percent),
    )
    _tell(db, product)


def reprice(db: sqlite3.Connection, sku: str, price_cents: int) -> Product | None:
    """Give a product another price, within a transaction of the caller; None when there is no such product."""
    changed = db.execute("UPDATE products SET price_cents = ? WHERE sku = ?", (price_cents, sku)).rowcount
    product = find(db, sku) if changed else None
    if product is not None:
        _tell(db, product)
    return product


def tell_everything(db: sqlite3.Connection) -> None:
    """Tell every price, at the beginning of the history."""
    for product in every(db):
        _tell(db, product)


def _tell(db: sqlite3.Connection, product: Product) -> None:
    """Tell what a product costs now; the one place where that is told."""
    outbox.write(db, "PriceChanged", 1, product.sku, product.to_wire())
