"""Payments, taken out of the shop: the same answers as the monolith's, from a database of its own.

Fill the database from the monolith's, as often as wanted, and start the service with

    python -m extracted.payments import --from shop.sqlite3 --database payments.sqlite3
    python -m extracted.payments --database payments.sqlite3 --port 8002

It answers `GET /payments/{payment_id}`, `GET /accounts/{account_id}/payments` and `GET /healthz`. It takes
payments, `POST /payments`, and gives them back, `POST /payments/{payment_id}/refund`: each once for an
`Idempotency-Key`, which it remembers for a day.
`--release v1` is the first attempt at the rewrite, with a mistake that `releases` describes; `v2` has it mended.
With `--require-login` an account sees its own payments only, and payments are taken and given back for the shop itself
only: docs/shop-login.md says how callers are recognised.
"""
