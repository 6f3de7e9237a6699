"""Inventory, taken out of the shop: the same answers as the monolith's, from a database of its own.

Fill the database from the monolith's, as often as wanted, and start the service with

    python -m extracted.inventory import --from shop.sqlite3 --database inventory.sqlite3
    python -m extracted.inventory --database inventory.sqlite3 --port 8003

It answers `GET /stock`, `GET /stock/{sku}` and `GET /healthz`; what a product is called and costs is the
catalogue's business, and is decided by the monolith. It sets goods aside for an order, `POST /reservations`, sells
them, `POST /reservations/{order_id}/confirm`, and puts them back, `POST /reservations/{order_id}/release`: each
once for an `Idempotency-Key`, which it remembers for a day. `--release v1` is the first attempt at the rewrite, with
two mistakes that `releases` describes; `v2` has them mended. With `--require-login` only callers who have
logged in see the stock, and reservations are for the shop itself: docs/shop-login.md says how they are recognised.

`GET /catalogue` shows what is sold, from tables that are projected from events: `catalogue` says how far they are, and
`rebuild` builds them anew. docs/shop-events.md tells of events.
"""
