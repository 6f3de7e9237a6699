"""One login: the monolith and its services make the same of a caller, whichever of them is asked."""

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, time

import pytest

from legacy_monolith import token_keys, tokens
from tests.support.shop_browser import Browser
from tests.support.shop_events import (
    event,
    events_of,
    relay_of,
    stock_2,
    subscribe,
    tell,
    wait_until_delivered,
)
from tests.support.shop_services import (
    Answer,
    Service,
    assert_one_line,
    bring_over,
    dump,
    run,
    running,
    wait_until,
)

SERVICES = ("payments", "inventory")
LOGIN = ("--require-login", "--token-keys")
OWN = {"payments": "/accounts/7/payments", "inventory": "/stock/TEA-001"}


@dataclass(frozen=True)
class World:
    folder: Path
    monolith: Service
    payments: Service
    inventory: Service

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"

    def token(self, account_id: int = 7, *, at: int | None = None) -> str:
        return tokens.issue(token_keys.load(self.keys), account_id, int(time()) if at is None else at)

    def service(self, name: str) -> Service:
        return {"payments": self.payments, "inventory": self.inventory}[name]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("shop")
    shop, keys = folder / "shop.sqlite3", folder / "keys.json"
    with ExitStack() as stack:
        monolith = stack.enter_context(running("legacy_monolith", "--database", shop, *LOGIN, keys))
        for name in SERVICES:
            bring_over(name, shop, folder / name)
        at = ("--login-at", f"http://127.0.0.1:{monolith.port}")
        services = [
            stack.enter_context(running(f"extracted.{name}", "--database", folder / name, *LOGIN, keys, *at))
            for name in SERVICES
        ]
        yield World(folder, monolith, *services)


@pytest.fixture(scope="module")
def session(world: World) -> str:
    browser = Browser(world.monolith.port)
    browser.log_in()
    return browser.jar["session"]


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-release")}
    return answer.status, headers, answer.body


TARGETS = {
    "payments": [
        "/accounts/7/payments",
        "/accounts/8/payments",
        "/accounts/999/payments",
        "/accounts/x/payments",
        "/payments/1",
        "/payments/999999",
        "/payments/x",
        *(f"/payments/{number}" for number in range(700, 712)),
    ],
    "inventory": ["/stock", "/stock?below=5", "/stock?below=x", "/stock/TEA-001", "/stock/NOPE"],
}


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "caller",
    [
        "nobody",
        "token",
        "bearer",
        "session",
        "both",
        "token of another",
        "token that is over",
        "tampered token, good session",
        "no session of ours",
    ],
)
def test_both_sides_answer_every_caller_alike(world: World, session: str, name: str, caller: str) -> None:
    over = world.token(at=int(time()) - 1000)
    headers = {
        "nobody": {},
        "token": {"Cookie": f"theme=dark; shop_token={world.token()}"},
        "bearer": {"Authorization": f"bearer {world.token()}"},
        "session": {"Cookie": f"session={session}"},
        "both": {"Cookie": f"session={session}; shop_token={world.token()}"},
        "token of another": {"Cookie": f"session={session}; shop_token={world.token(8)}"},
        "token that is over": {"Cookie": f"shop_token={over}"},
        "tampered token, good session": {
            "Cookie": f"session={session}; shop_token={world.token().replace('.7.', '.8.')}"
        },
        "no session of ours": {"Cookie": "session=" + "A" * 43},
    }[caller]
    for target in TARGETS[name]:
        legacy, extracted = (side.ask(target, **headers) for side in (world.monolith, world.service(name)))
        assert seen(extracted) == seen(legacy), target
    answer = world.service(name).ask(OWN[name], **headers)
    logged_in = caller not in ("nobody", "token that is over", "no session of ours")
    expected = 404 if caller == "token of another" and name == "payments" else 200
    assert answer.status == (expected if logged_in else 401)
    if not logged_in:
        assert answer.headers["www-authenticate"] == 'Bearer realm="shop"'
        assert answer.json["detail"] == "log in first"


def test_a_caller_sees_what_is_theirs_and_nothing_else(world: World) -> None:
    mine = {"Cookie": f"shop_token={world.token()}"}
    payments = world.payments.ask("/accounts/7/payments", **mine).json["payments"]
    assert payments
    for side in (world.payments, world.monolith):
        assert side.ask("/accounts/8/payments", **mine).status == 404
        for number in range(1, 40):
            status = side.ask(f"/payments/{number}", **mine).status
            assert status == (200 if number in {each["payment_id"] for each in payments} else 404)


def test_the_monolith_keeps_the_rest_of_an_account_for_its_owner(world: World) -> None:
    order = world.payments.ask("/accounts/7/payments", Cookie=f"shop_token={world.token()}").json["payments"][
        -1
    ]["order_id"]
    targets = ["/accounts/7", f"/orders/{order}", f"/orders/{order}.csv", f"/orders/{order}/events"]
    for target in targets:
        assert world.monolith.ask(target).status == 401
        assert world.monolith.ask(target, Cookie=f"shop_token={world.token()}").status == 200
        assert world.monolith.ask(target, Cookie=f"shop_token={world.token(8)}").status == 404
    for target in ("/products", "/products/TEA-001", "/healthz", "/catalogue"):
        assert world.monolith.ask(target).status == 200
    assert world.service("inventory").ask("/catalogue").status == 200


def test_orders_are_placed_for_the_own_account_only(world: World) -> None:
    def order(account_id: int, **headers: str) -> int:
        items = [{"sku": "TEA-001", "quantity": 1}]
        payment = {"method": "card", "card": "tok_visa"}
        body = {"account_id": account_id, "items": items, "payment": payment}
        return world.monolith.ask("/orders", "POST", body, **headers).status

    mine = {"Cookie": f"shop_token={world.token()}"}
    assert order(7) == 401
    assert order(8, **mine) == 422
    assert order(7, **mine, Sec_Fetch_Site="cross-site") == 403
    assert order(7, **mine) == 201


@pytest.mark.parametrize("name", SERVICES)
def test_a_rotation_is_noticed_by_nobody(world: World, session: str, name: str) -> None:
    before = {"Cookie": f"shop_token={world.token()}"}
    done = run("legacy_monolith", "keys", "rotate", "--token-keys", world.keys)
    assert (done.code, done.err) == (0, "")
    assert "signs from now on; believed as well: k1 until " in done.out
    after = {"Cookie": f"shop_token={world.token()}"}
    assert before != after
    for headers in (before, after):
        for side in (world.service(name), world.monolith):
            assert side.ask(OWN[name], **headers).status == 200
    fresh = Browser(world.monolith.port, {"session": session}).ask("/shop").cookies["shop_token"].value
    assert fresh.split(".")[1] == token_keys.load(world.keys).current
    assert world.service(name).ask(OWN[name], Cookie=f"shop_token={fresh}").status == 200


def test_a_session_is_asked_about_once_and_then_remembered(world: World) -> None:
    browser = Browser(world.monolith.port)
    browser.log_in()
    mine = {"Cookie": f"session={browser.jar['session']}"}
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: world.payments.ask("/accounts/7/payments", **mine), range(24)))
    assert {answer.status for answer in answers} == {200}
    # The session ends in the monolith's own table; what the service remembers is over with its token.
    browser.log_out()
    assert world.monolith.ask("/accounts/7/payments", **mine).status == 401
    assert world.payments.ask("/accounts/7/payments", **mine).status == 200


# -- doors that are for the shop itself ----------------------------------------------------------------------

MONEY = {"amount": {"amount": 12.9, "currency": "EUR"}, "tax": {"amount": 0.84, "currency": "EUR"}}
EVENT = event("StockChanged", 2, stock_2(reserved=0))
DOORS = [
    ("payments", "POST", "/payments"),
    ("payments", "POST", "/payments/801/refund"),
    ("payments", "POST", "/events"),
    ("inventory", "POST", "/reservations"),
    ("inventory", "GET", "/reservations/10801"),
    ("inventory", "POST", "/reservations/10801/confirm"),
    ("inventory", "POST", "/reservations/10801/release"),
    ("inventory", "POST", "/events"),
    ("monolith", "POST", "/events"),
]


def own(world: World, *, at: int | None = None) -> str:
    return tokens.issue(token_keys.load(world.keys), tokens.SHOP, int(time()) if at is None else at)


@pytest.mark.parametrize(("name", "method", "target"), DOORS)
def test_a_door_of_the_shop_opens_to_its_own_token_and_to_no_other(
    world: World, session: str, name: str, method: str, target: str
) -> None:
    service = world.monolith if name == "monolith" else world.service(name)
    database = world.folder / (name if name != "monolith" else "shop.sqlite3")
    before = dump(database)
    forged = tokens.issue(token_keys.rotated(None, b"x" * 32, 0), tokens.SHOP, int(time()))
    refused: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {world.token()}"},
        {"Cookie": f"shop_token={world.token()}; session={session}"},
        {"Cookie": f"shop_token={own(world)}"},  # no browser is the shop
        {"Authorization": f"Basic {own(world)}"},
        {"Authorization": f"Bearer {own(world, at=int(time()) - 1000)}"},
        {"Authorization": f"Bearer {forged}"},
        {"Authorization": f"Bearer {own(world).replace('.shop.', '.7.')}"},
        {"Authorization": f"Bearer {world.token().replace('.7.', '.shop.')}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer shop"},
    ]
    for headers in refused:
        answer = service.ask(target, method, b"{" if method == "POST" else None, **headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="shop"')
        assert answer.json["detail"] == "this is for the shop itself, by a token of its own"
    assert dump(database) == before
    mine = {"Authorization": f"bearer {own(world)}"}
    answer = service.ask(target, method, b"{" if method == "POST" else None, **mine)
    assert (answer.status, answer.json["detail"]) == (
        (400, "the body is not JSON")
        if method == "POST"
        else (404, "there is no reservation for order 10801")
    )


@pytest.mark.parametrize("name", SERVICES)
def test_the_token_of_the_shop_is_no_account(world: World, name: str) -> None:
    for headers in ({"Authorization": f"Bearer {own(world)}"}, {"Cookie": f"shop_token={own(world)}"}):
        for side in (world.monolith, world.service(name)):
            assert side.ask(OWN[name], **headers).status == 401
    for side in (world.monolith, world.service(name)):  # what watches the shop has no token
        assert [side.ask(target).status for target in ("/healthz", "/metrics")] == [200, 200]


@pytest.mark.parametrize("name", [*SERVICES, "monolith"])
def test_without_require_login_the_doors_are_open_as_ever(world: World, name: str, tmp_path: Path) -> None:
    if name == "monolith":
        options = ("legacy_monolith", "--database", tmp_path / "shop", "--token-keys", world.keys)
    else:
        options = (f"extracted.{name}", "--database", world.folder / name, "--token-keys", world.keys)
    with running(*options) as service:
        for headers in ({}, {"Authorization": "Bearer x"}):
            assert service.ask("/events", "POST", b"{", **headers).status == 400


def test_a_shop_that_requires_a_login_and_has_no_keys_lets_nobody_in_there(tmp_path: Path) -> None:
    with running("legacy_monolith", "--database", tmp_path / "shop", "--require-login") as shop:
        token = tokens.issue(token_keys.rotated(None, b"x" * 32, 0), tokens.SHOP, int(time()))
        assert shop.ask("/events", "POST", EVENT, Authorization=f"Bearer {token}").status == 401


def test_a_relay_delivers_to_locked_consumers_with_the_keys_and_gives_up_nothing_without(
    world: World, tmp_path: Path
) -> None:
    shop = world.folder / "shop.sqlite3"
    module = "legacy_monolith"
    subscribe(module, shop, "payments", world.payments.port, "PaymentTaken")
    subscribe(module, shop, "inventory", world.inventory.port, "StockChanged")
    tell(shop, "StockChanged", 2, "TEA-001", stock_2(reserved=0))
    with (tmp_path / "log").open("w") as log, relay_of(module, shop, log=log):
        wait_until(lambda: (tmp_path / "log").read_text().count("inventory is away: 401") > 8)
    assert "inventory is away: 401 this is for the shop itself, by a token of its own" in (
        (tmp_path / "log").read_text()
    )
    assert events_of(module, shop)["dead_letters"] == []
    assert any(each["events"] for each in events_of(module, shop)["consumers"])

    others = tmp_path / "others.json"
    token_keys.rotate(others, int(time()))
    with (tmp_path / "log").open("w") as log, relay_of(module, shop, "--token-keys", others, log=log):
        wait_until(lambda: "inventory is away: 401" in (tmp_path / "log").read_text())
        others.unlink()
        token_keys.rotate(others, int(time()))  # another file, and another wrong key: it is read anew
        text = world.keys.read_text()
        (tmp_path / "copy").write_text(text)
        (tmp_path / "copy").chmod(0o600)
        (tmp_path / "copy").replace(others)  # the keys of the shop come late, and no restart is needed
        wait_until_delivered(module, shop)
        run(module, "keys", "rotate", "--token-keys", world.keys)
        tell(shop, "StockChanged", 2, "TEA-001", stock_2(reserved=0))
        wait_until_delivered(module, shop)  # by the key of before, which is believed still
    assert events_of(module, shop)["dead_letters"] == []


TOLD = {"payments": ("PaymentTaken",), "inventory": ("StockChanged",)}


def charge(world: World, payment_id: int) -> None:
    body = {"payment_id": payment_id, "order_id": 10_000 + payment_id, "account_id": 7, "method": "card"}
    body |= {"card": "tok_visa", "taken_at": "2026-04-01T12:00:00Z"} | MONEY
    headers = {"Authorization": f"Bearer {own(world)}", "Idempotency-Key": f"charge-{payment_id}"}
    assert world.payments.ask("/payments", "POST", body, **headers).status == 201


def reserve(world: World, order_id: int) -> None:
    body = {"order_id": order_id, "items": [{"sku": "TEA-001", "quantity": 1}]}
    headers = {"Authorization": f"Bearer {own(world)}", "Idempotency-Key": f"reserve-{order_id}"}
    assert world.inventory.ask("/reservations", "POST", body, **headers).status == 201


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_tells_a_locked_shop_with_the_same_keys(world: World, name: str) -> None:
    module, database = f"extracted.{name}", world.folder / name
    subscribe(module, database, "shop", world.monolith.port, *TOLD[name])
    reserve(world, 10_990) if name == "inventory" else charge(world, 990)
    with relay_of(module, database, "--token-keys", world.keys):
        wait_until_delivered(module, database)
    reserve(world, 10_991) if name == "inventory" else charge(world, 991)
    # `serve --relay` signs as well, where it has the keys.
    with running(module, "--database", database, *LOGIN, world.keys, "--relay"):
        wait_until_delivered(module, database)
    assert events_of(module, database)["dead_letters"] == []


@pytest.mark.parametrize("module", ["legacy_monolith", *(f"extracted.{name}" for name in SERVICES)])
@pytest.mark.parametrize("file", ["none.json", "open.json"])
def test_a_relay_with_keys_that_cannot_be_used_is_one_line(
    world: World, module: str, file: str, tmp_path: Path
) -> None:
    token_keys.rotate(tmp_path / "open.json", 1)
    (tmp_path / "open.json").chmod(0o644)
    database = world.folder / ("shop.sqlite3" if module == "legacy_monolith" else module.rsplit(".", 1)[1])
    assert_one_line(run(module, "relay", "--database", database, "--token-keys", tmp_path / file), module)


# -- a monolith that does not answer as it should ----------------------------------------------------------


@dataclass
class Impostor:
    """Stands where the monolith should, answers `POST /session/token`, and counts how often it was asked."""

    status: int = 200
    body: bytes = b""
    asked: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[str]:
        impostor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                impostor.asked.append(f"{self.path} {self.headers['Cookie']}")
                impostor.go_on.wait(20)
                self.send_response(impostor.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(impostor.body)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = False  # so that the end waits for them
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                self.go_on.set()
                server.shutdown()
                thread.join()


@contextmanager
def service_at(world: World, name: str, url: str) -> Iterator[Service]:
    options = ("--database", world.folder / name, *LOGIN, world.keys, "--login-at", url)
    with running(f"extracted.{name}", *options) as service:
        yield service


STRANGER = {"Cookie": "session=" + "B" * 43}


@pytest.mark.parametrize("name", SERVICES)
def test_a_monolith_that_is_down_is_503_for_sessions_and_nothing_for_tokens(world: World, name: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with service_at(world, name, f"http://127.0.0.1:{nobody.getsockname()[1]}") as service:
            answer = service.ask(OWN[name], **STRANGER)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.json["detail"] == "the shop does not say who has logged in"
            assert service.ask(OWN[name], Cookie=f"shop_token={world.token()}").status == 200
            assert service.ask(OWN[name]).status == 401
            assert service.ask(OWN[name], Cookie="session=" + "C" * 43).status == 503
            code, out, log = service.stop()
    assert (code, out) == (0, "")
    assert log.count("does not say who has logged in") == log.count("\n") == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_monolith_that_hangs_is_waited_for_a_second_by_all_together(world: World, name: str) -> None:
    impostor = Impostor()
    with (
        impostor.running() as url,
        service_at(world, name, url) as service,
        ThreadPoolExecutor(8) as callers,
    ):
        begun = monotonic()
        answers = list(callers.map(lambda _: service.ask(OWN[name], **STRANGER).status, range(8)))
        assert answers == [503] * 8
        assert 0.5 < monotonic() - begun < 5
        assert impostor.asked == ["/session/token session=" + "B" * 43]
        assert service.ask(OWN[name], Cookie=f"shop_token={world.token()}").status == 200


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"token": 7}'),
        (200, b'{"token": "shop1.k1.7.1.2.x"}'),
        (200, b'{"token": "FORGED"}'),
        (302, b""),
        (500, b""),
    ],
)
def test_what_is_no_answer_of_the_monolith_lets_nobody_in(
    world: World, name: str, status: int, body: bytes
) -> None:
    forged = tokens.issue(token_keys.rotated(None, b"x" * 32, 0), 7, int(time()))
    impostor = Impostor(status, body.replace(b"FORGED", forged.encode()))
    impostor.go_on.set()
    with impostor.running() as url, service_at(world, name, url) as service:
        assert service.ask(OWN[name], **STRANGER).status == 503
        assert len(impostor.asked) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_stranger_is_not_asked_about_again_at_once(world: World, name: str) -> None:
    impostor = Impostor(401)
    impostor.go_on.set()
    with impostor.running() as url, service_at(world, name, url) as service:
        assert {service.ask(OWN[name], **STRANGER).status for _ in range(5)} == {401}
        assert len(impostor.asked) == 1
        odd = ["", "short", "B" * 44, "B" * 42 + "\u00e9", 'x"; a="b']
        assert {service.ask(OWN[name], Cookie=f"session={each}").status for each in odd} == {401}
        assert len(impostor.asked) == 1


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_without_require_login_everybody_reads_as_ever(world: World, name: str) -> None:
    with running(f"extracted.{name}", "--database", world.folder / name) as service:
        assert service.ask(OWN[name]).status == 200
        assert service.ask(OWN[name], Cookie="shop_token=x; session=y").status == 200


@pytest.mark.parametrize("name", SERVICES)
def test_without_login_at_a_session_alone_is_not_enough(world: World, session: str, name: str) -> None:
    options = ("--database", world.folder / name, *LOGIN, world.keys)
    with running(f"extracted.{name}", *options) as service:
        assert service.ask(OWN[name], Cookie=f"session={session}").status == 401
        assert service.ask(OWN[name], Cookie=f"shop_token={world.token()}").status == 200


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "options",
    [
        ["--require-login"],
        ["--require-login", "--token-keys", "FOLDER/none.json"],
        ["--require-login", "--token-keys", "FOLDER/open.json"],
        ["--require-login", "--token-keys", "FOLDER/spoilt.json"],
        ["--login-at", "127.0.0.1:8001"],
        ["--login-at", "ftp://shop"],
        ["--login-at", "http://shop/?x=1"],
    ],
)
def test_settings_that_cannot_be_are_one_line(name: str, options: list[str], tmp_path: Path) -> None:
    token_keys.rotate(tmp_path / "open.json", 1)
    (tmp_path / "open.json").chmod(0o644)
    (tmp_path / "spoilt.json").touch(0o600)
    options = [each.replace("FOLDER", str(tmp_path)) for each in options]
    module = f"extracted.{name}"
    assert_one_line(run(module, "--database", tmp_path / "own.sqlite3", *options), module)


@pytest.mark.parametrize(
    "options",
    [
        ["--database", "FOLDER/own.sqlite3", "--token-keys", "FOLDER/open.json"],
        ["--database", "FOLDER/own.sqlite3", "--token-keys", "FOLDER/none/keys.json"],
        ["keys"],
        ["keys", "rotate"],
        ["keys", "rotate", "--token-keys", "FOLDER/open.json"],
        ["keys", "rotate", "--token-keys", "FOLDER/none/keys.json"],
        ["keys", "turn", "--token-keys", "FOLDER/keys.json"],
    ],
)
def test_keys_that_cannot_be_used_are_one_line(options: list[str], tmp_path: Path) -> None:
    token_keys.rotate(tmp_path / "open.json", 1)
    (tmp_path / "open.json").chmod(0o644)
    options = [each.replace("FOLDER", str(tmp_path)) for each in options]
    assert_one_line(run("legacy_monolith", *options), "legacy_monolith")


def test_keys_are_made_where_there_are_none_and_can_be_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    done = run("legacy_monolith", "keys", "rotate", "--token-keys", path)
    assert (done.code, done.out) == (0, "k1 signs from now on; believed as well: no other\n")
    done = run("legacy_monolith", "keys", "rotate", "--token-keys", path, "--at-once")
    assert done.out == "k2 signs from now on; believed as well: no other\n"
    assert list(json.loads(path.read_text())["keys"]) == ["k2"]


def test_a_shop_without_keys_issues_no_tokens(tmp_path: Path) -> None:
    with running("legacy_monolith", "--database", tmp_path / "shop.sqlite3") as shop:
        browser = Browser(shop.port)
        assert set(browser.log_in().cookies) == {"session"}
        assert not browser.ask("/shop").cookies
        answer = shop.ask("/session/token", "POST", Cookie=f"session={browser.jar['session']}")
        assert (answer.status, answer.json["detail"]) == (404, "this shop issues no tokens")
        assert shop.ask("/accounts/8/payments").status == 200


def test_a_database_of_before_gets_the_new_tables(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite3"
    with running("legacy_monolith", "--database", path) as shop:
        shop.stop()
    with closing(sqlite3.connect(path)) as db:
        for table in ("passwords", "sessions", "order_progress"):
            db.execute(f"DROP TABLE {table}")
        db.commit()
    with running("legacy_monolith", "--database", path) as shop:
        browser = Browser(shop.port)
        assert browser.log_in().status == 403  # nobody has a password yet
        assert shop.ask("/orders/10710").status == 200
