"""Inventory, taken out of the shop: the same answers as the monolith's, from a database of its own.

Fill the database from the monolith's, as often as wanted, and start the service with

    python -m extracted.inventory import --from shop.sqlite3 --database inventory.sqlite3
    python -m extracted.inventory --database inventory.sqlite3 --port 8003

It answers `GET /stock`, `GET /stock/{sku}` and `GET /healthz`; what a product is called and costs is the
catalogue's business, and stays with the monolith. `--release v1` is the first attempt at the rewrite, with
two mistakes that `releases` describes; `v2` has them mended.
"""
