"""The shop as it has always been: one process, one SQLite database, one transaction.

Start it with

    python -m legacy_monolith --database shop.sqlite3 --port 8001

A database that does not exist yet is created and filled with seed data, the same for the same ``--seed``. With
`--token-keys FILE` the shop issues tokens for its services; with `--require-login` what belongs to an account is shown
to that account only, and what is for the shop itself opens to the shop's own token only.

Each bounded context is a module that owns its tables, and the functions of that module are the only door
to them: `catalogue` (what is sold), `stock` (where it lies), `accounts` (who buys), `payments` (what was
taken) and `orders` (what was promised). Orders reach stock and payments through `ports` only. `orders.place`
goes through all doors inside one transaction; that is what makes this a monolith, and what an extraction has
to take apart.

Stock and payments may be elsewhere, each by a setting of its own. An order is then a saga: `saga` decides what
is next, `placing` does what is done in transactions, `saga_log` keeps it, `running` and `calling` make the calls.
`order_keys` lets who got no answer ask again, `reasons` tells a customer why an order is none.
docs/shop.md tells all of it; `python -m legacy_monolith sagas` lists what is under way and what was given up.

`storefront` shows all this to people, who log in (`login`, `sessions`); `callers` knows them again, `tokens` lets the
services know them too; `export` and `status_stream` give an order in other forms than JSON.

What happens is told through `shop_events`, the library that the services use as well; `telling` says what that has to
know of the shop, and `inbox` takes what services tell: docs/shop-events.md.

`web` answers HTTP, `database` opens the file, `seed` fills it, `money` says how cents look on the wire.
"""
