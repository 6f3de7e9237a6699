"""The catalogue, by real processes: the monolith's and inventory's are the same, and inventory's is built anew."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from extracted.inventory.database import open_database
from extracted.inventory.projecting import project_some
from legacy_monolith import catalogue, seed
from legacy_monolith.catalogue import Product
from legacy_monolith.database import open_writer
from shop_events.transactions import transaction
from tests.support.shop_catalogue import SOURCE, content, imported, price, stock, take
from tests.support.shop_events import relay_of, rows, subscribe, wait_until_delivered
from tests.support.shop_services import (
    ROOT,
    Answer,
    Service,
    assert_one_line,
    bring_over,
    run,
    running,
    wait_until,
)
from tests.support.shop_world import order

SHOP, INVENTORY = "legacy_monolith", "extracted.inventory"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;"""


@dataclass(frozen=True)
class World:
    folder: Path
    shop: Service
    inventory: Service

    @property
    def database(self) -> Path:
        return self.folder / "inventory"

    def settle(self) -> None:
        """Bring all events over, and wait until the catalogue shows them."""
        with relay_of(SHOP, self.folder / "shop"):
            wait_until_delivered(SHOP, self.folder / "shop")
        wait_until(lambda: metric(self.inventory, "shop_catalogue_behind") == 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("shop")
    with closing(open_writer(folder / "shop", partial(seed.fill, seed=2019))) as db, transaction(db):
        catalogue.add(db, Product("CUP-900", HOSTILE, "<u>&'\"", 123_456_789, 19))
        catalogue.add(db, Product("CUP-901", "Tasse für Café \U0001f375", "cup", 1, 0))
        for number in range(120):
            catalogue.add(db, Product(f"MUG-{number:03}", f"Mug {number}", "mug", 500, 19))
    bring_over("inventory", folder / "shop", folder / "inventory")
    with ExitStack() as stack:
        shop = stack.enter_context(running(SHOP, "--database", folder / "shop"))
        inventory = stack.enter_context(running(INVENTORY, "--database", folder / "inventory"))
        subscribe(SHOP, folder / "shop", "inventory", inventory.port, "StockChanged", "PriceChanged")
        made = World(folder, shop, inventory)
        made.settle()
        yield made


def metric(service: Service, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", service.ask("/metrics").body.decode(), re.M)
    assert found
    return float(found[1])


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-release")}
    return answer.status, headers, answer.body


def left_of(service: Service, sku: str) -> int:
    items = service.ask(f"/catalogue?q={sku}").json["items"]
    return int(next(each["available"] for each in items if each["sku"] == sku))


def said_by(*arguments: object) -> Any:
    done = run(INVENTORY, *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


# -- both sides are the same -------------------------------------------------------------------------------

TARGETS = [
    "",
    "?category=tea",
    "?category=",
    "?category=none",
    "?category=%3Cu%3E%26%27%22",
    "?q=green+tea",
    "?q=TEA-001",
    "?q=sen",
    "?q=CAFE+t%C3%A1ss",
    "?q=pot&category=cup",
    "?q=cup+bo&category=cup",
    "?q=%F0%9F%8D%B5",
    "?q=m",
    "?q=m&after=MUG-042",
    "?after=CUP-008&category=cup",
    "?after=%3C",
    "?q=x&q=tea",
    "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    "?q=%25+*+_+'+OR+1%3D1+--",
    "?q=%00&category=%00&after=%00",
    "?q=%FF%ED%A0%80&category=%FF",
    "?q=" + "a" * 200,
    "?q=" + "a" * 201,
    "?q=" + "+".join("abcdefghij"),
    "?q=" + "+".join("abcdefghijk"),
    "?category=" + "a" * 201,
    "?after=" + "a" * 201,
    "?q=" + "%E2%80%8B" * 200,
    "?nothing=known",
]


@pytest.mark.parametrize(
    "headers", [{}, PAGE, {"Accept": "application/json, text/html"}], ids=["", "page", "json"]
)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:40])
def test_both_sides_answer_the_same_byte_for_byte(world: World, target: str, headers: dict[str, str]) -> None:
    path = f"/catalogue{target}"
    answers = [seen(service.ask(path, **headers)) for service in (world.shop, world.inventory)]
    assert answers[0] == answers[1]
    assert answers[0][1]["vary"] == "Accept"
    assert answers[0][0] in (200, 400)


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
def test_other_methods_are_treated_alike(world: World, method: str) -> None:
    assert seen(world.inventory.ask("/catalogue", method)) == seen(world.shop.ask("/catalogue", method))


@pytest.mark.parametrize("field", [b"q", b"category", b"after"])
def test_bytes_that_are_no_text_are_refused_alike(world: World, field: bytes) -> None:
    answers = []
    for service in (world.shop, world.inventory):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(
                b"GET /catalogue?" + field + b"=\xff\xc3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            answer = b"".join(iter(partial(connection.recv, 65536), b""))
        answers.append((answer.split(b"\r\n")[0], answer.partition(b"\r\n\r\n")[2]))
    assert answers[0] == answers[1]
    assert b" 500 " not in answers[0][0]


def test_what_is_too_much_is_told_in_json_and_on_a_page(world: World) -> None:
    for service in (world.shop, world.inventory):
        answer = service.ask("/catalogue?q=" + "a" * 201)
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert answer.json["detail"] == "q must have at most 200 characters"
        page = service.ask("/catalogue?q=" + "+".join("abcdefghijk"), **PAGE)
        assert (page.status, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
        page_is_held(page)


def page_is_held(page: Answer) -> None:
    """Nothing could run on it, and it loads nothing but the stylesheet."""
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in page.headers
    tree = html.fromstring(page.body)
    assert tree.xpath("//script | //img | //u | //style | //@style | //@onerror") == []
    assert tree.xpath("//link/@href") == ["/shop/shop.css"]
    # Who is there is not known, so nothing is said of it: the orders lead to the login where it is needed.
    assert tree.xpath("//nav[@aria-label='Shop']/a/@href") == ["/catalogue", "/shop/orders"]


def test_a_page_shows_names_prices_and_what_is_left_and_hostile_ones_as_they_are(world: World) -> None:
    page = world.inventory.ask("/catalogue?category=cup", **PAGE)
    page_is_held(page)
    tree = html.fromstring(page.body)
    assert set(tree.xpath("//span[@class='kind']/text()")) == {"cup"}
    assert tree.xpath("//a[@aria-current='page']/text()") == ["Cup"]
    everything = html.fromstring(world.inventory.ask("/catalogue", **PAGE).body)
    (card,) = everything.xpath("//a[@href='/shop/products/CUP-900']")
    assert [text.strip() for text in card.itertext() if text.strip()] == [
        *("<u>&'\"", HOSTILE, "1,234,567.89 €", "sold out")
    ]
    left = world.shop.ask("/stock/COF-002").json["available"]
    assert f"{left} left" in everything.xpath("//a[@href='/shop/products/COF-002']//text()")
    assert html.fromstring(world.inventory.ask("/catalogue?q=%22%3Ex", **PAGE).body).xpath(
        "//input[@name='q']/@value"
    ) == ['">x']


def test_much_is_shown_page_by_page(world: World) -> None:
    target, found = "/catalogue?q=mug", []
    while target:
        answer = world.inventory.ask(target).json
        assert answer["count"] == len(answer["items"]) <= 100
        found += [each["sku"] for each in answer["items"]]
        target = answer["next"]
    assert found == ["CUP-005", *(f"MUG-{number:03}" for number in range(120))]
    (more,) = html.fromstring(world.shop.ask("/catalogue?q=mug", **PAGE).body).xpath(
        "//a[text()='More']/@href"
    )
    assert more == "/catalogue?q=mug&after=MUG-098"


# -- events in, catalogue out ------------------------------------------------------------------------------


def test_what_is_ordered_and_what_costs_something_else_is_shown(world: World) -> None:
    before = left_of(world.inventory, "TEA-001")
    assert world.shop.ask("/orders", "POST", order(quantity=3)).status == 201
    assert run(SHOP, "price", "TEA-001", "99.99", "--database", world.folder / "shop").code == 0
    assert left_of(world.inventory, "TEA-001") == before
    world.settle()
    assert left_of(world.inventory, "TEA-001") == before - 3
    assert world.inventory.ask("/catalogue?q=tea-001").json["items"][0]["price"]["amount"] == 99.99
    assert seen(world.inventory.ask("/catalogue", **PAGE)) == seen(world.shop.ask("/catalogue", **PAGE))


def test_what_the_service_sets_aside_itself_is_shown_too(world: World) -> None:
    before = left_of(world.inventory, "TEA-002")
    body = {"order_id": 50_001, "items": [{"sku": "TEA-002", "quantity": 2}]}
    assert world.inventory.ask("/reservations", "POST", body, Idempotency_Key="r1").status == 201
    wait_until(lambda: left_of(world.inventory, "TEA-002") == before - 2)
    released = world.inventory.ask("/reservations/50001/release", "POST", {}, Idempotency_Key="r2")
    assert released.status == 200
    wait_until(lambda: left_of(world.inventory, "TEA-002") == before)
    assert run(INVENTORY, "rebuild", "--database", world.database).code == 0
    assert left_of(world.inventory, "TEA-002") == before


def test_it_says_how_far_it_is_and_that_it_is_whole(world: World) -> None:
    world.settle()
    said = said_by("catalogue", "--database", world.database)
    (kept,) = rows(world.database, "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM outbox)")[0]
    assert (said["products"], said["events"], said["behind"], said["since"]) == (162, kept, 0, None)
    assert (said["complete"], said["lacks"]) == (True, [])
    assert metric(world.inventory, "shop_catalogue_events_total") == kept
    assert metric(world.inventory, "shop_catalogue_complete") == 1
    assert metric(world.inventory, "shop_catalogue_waited_seconds") < 30
    done = run(INVENTORY, "catalogue", "--database", world.database)
    assert done.out == f"162 products from {kept} events, up to date\n  the history is whole\n"


# -- large histories, and processes that die ---------------------------------------------------------------

MANY = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a long history that nobody has projected yet."""
    path = tmp_path_factory.mktemp("large") / "inventory"
    with closing(open_database(path)) as db:
        imported(db, through=MANY, told=0)
        take(db, price(1), *(stock(number, 1, f"CUP-{number % 50:03}") for number in range(2, 100)))
        rest = [
            price(n, f"CUP-{n % 50:03}") if n % 9 == 0 else stock(n, 1, f"CUP-{n % 50:03}")
            for n in range(100, MANY)
        ]
        as_text = [(each["id"], json.dumps(each, default=float)) for each in rest]
        db.execute("BEGIN")
        db.executemany("INSERT INTO history (id, event) VALUES (?, ?)", as_text)
        db.executemany(
            "INSERT INTO handled VALUES (?, ?, 1, 'StockChanged', 'skipped', '', '')",
            [(each["id"], SOURCE) for each in rest],
        )
        db.execute("COMMIT")
    return path


@pytest.fixture
def history(large: Path, tmp_path: Path) -> Path:
    path = tmp_path / "inventory"
    path.write_bytes(large.read_bytes())
    return path


def projected(path: Path) -> int:
    return int(rows(path, "SELECT events FROM catalogue_state")[0][0])


def contents(path: Path) -> tuple[Any, ...]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return content(db)


def test_a_service_that_is_killed_while_it_projects_loses_nothing_and_doubles_nothing(history: Path) -> None:
    for _ in range(3):
        with running(INVENTORY, "--database", history) as service:
            begun = projected(history)
            wait_until(lambda: projected(history) > min(begun, MANY - 2))  # noqa: B023
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
    with running(INVENTORY, "--database", history) as service:
        wait_until(lambda: metric(service, "shop_catalogue_behind") == 0)
    found = contents(history)
    assert found[2] == MANY - 1
    assert run(INVENTORY, "rebuild", "--database", history).code == 0
    assert contents(history) == found


def test_a_service_goes_on_while_its_catalogue_is_built_anew(history: Path) -> None:
    with running(INVENTORY, "--database", history) as service:
        wait_until(lambda: metric(service, "shop_catalogue_behind") == 0)
        before = service.ask("/catalogue").json
        process = rebuilding(history, "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        number = MANY
        while process.poll() is None:
            number += 1
            assert (
                service.ask("/events", "POST", in_floats(stock(number, 1, "CUP-007"))).json["outcome"]
                == "handled"
            )
            assert service.ask("/catalogue").json["count"] == before["count"]
        assert process.stdout
        said = json.loads(process.stdout.read())
        process.stdout.close()
        assert process.wait() == 0
        assert MANY - 1 <= said["events"] <= number - 1
        wait_until(lambda: metric(service, "shop_catalogue_behind") == 0)
        came = number - MANY
        assert left_of(service, "CUP-007") == before["items"][8 - 1]["available"] + came
        assert projected(history) == MANY - 1 + came
    found = contents(history)
    assert run(INVENTORY, "rebuild", "--database", history).code == 0
    assert contents(history) == found


def in_floats(told: dict[str, Any]) -> Any:
    return json.loads(json.dumps(told, default=float))


def rebuilding(path: Path, *options: str, **streams: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", INVENTORY, "rebuild", "--database", str(path), *options]
    return subprocess.Popen(command, cwd=ROOT, **streams)


def test_a_rebuild_shows_a_bar_on_a_terminal_and_when_interrupted_leaves_the_old_catalogue(
    history: Path,
) -> None:
    with closing(open_database(history)) as db:
        project_some(db, lambda: 0.0)
    before = contents(history)
    ours, theirs = os.openpty()
    try:
        process = rebuilding(history, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        drawn = b""
        while b"#" not in drawn:
            drawn += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        assert process.stdout.read() == b""
        process.stdout.close()
        assert process.wait() == 130
        while b"interrupted" not in drawn:
            drawn += os.read(ours, 4096)
    finally:
        os.close(ours)
    assert re.match(rb"\r\[\.{40}\]   0 %  0 of 19999 events\r\[#", drawn)
    assert drawn.endswith(b"\r\npython -m extracted.inventory: interrupted, the catalogue is as it was\r\n")
    assert contents(history) == before


# -- the commands ------------------------------------------------------------------------------------------


def test_without_a_terminal_there_is_one_plain_line(history: Path) -> None:
    done = run(INVENTORY, "rebuild", "--database", history)
    assert (done.code, done.err) == (0, "")
    first, second, end = done.out.split("\n")
    assert re.fullmatch(r"built anew in \d+\.\d s: 51 products from 19999 events", first)
    assert (second, end) == ("  the history is whole", "")


def test_a_database_of_before_is_told_how_to_become_whole(history: Path) -> None:
    with closing(sqlite3.connect(history, isolation_level=None)) as db:
        db.execute("DELETE FROM history WHERE position > 5")
    said = said_by("rebuild", "--database", history)
    assert (said["events"], said["bodiless"], said["complete"]) == (5, MANY - 6, False)
    assert "`events unsubscribe` and `events subscribe`" in said["lacks"][0]
    with running(INVENTORY, "--database", history) as service:
        assert metric(service, "shop_catalogue_complete") == 0
        assert metric(service, "shop_catalogue_bodiless") == MANY - 6
        assert service.ask("/events", "POST", in_floats(stock(6, 1, "CUP-006"))).json["outcome"] == "known"
        assert metric(service, "shop_catalogue_bodiless") == MANY - 7


def test_a_history_without_bodies_becomes_whole_when_the_shop_tells_everything_again(tmp_path: Path) -> None:
    shop, database = tmp_path / "shop", tmp_path / "inventory"
    open_writer(shop, partial(seed.fill, seed=2019)).close()
    bring_over("inventory", shop, database)
    with running(SHOP, "--database", shop) as monolith:

        def catch_up() -> Answer:
            with running(INVENTORY, "--database", database) as service:
                subscribe(SHOP, shop, "inventory", service.port, "StockChanged", "PriceChanged")
                with relay_of(SHOP, shop):
                    wait_until_delivered(SHOP, shop)
                wait_until(lambda: metric(service, "shop_catalogue_behind") == 0)
                return service.ask("/catalogue", **PAGE)

        assert monolith.ask("/orders", "POST", order()).status == 201
        catch_up()
        as_it_was_before_there_was_a_history(database)
        assert b"There is nothing here" in catch_up().body
        assert said_by("catalogue", "--database", database)["bodiless"] == 135
        assert run(SHOP, "events", "unsubscribe", "inventory", "--database", shop).code == 0
        assert catch_up().body == monolith.ask("/catalogue", **PAGE).body
        bring_over("inventory", shop, database)
    assert said_by("catalogue", "--database", database)["lacks"] == []
    assert run(INVENTORY, "reconcile", "--from", shop, "--database", database).code == 0


def as_it_was_before_there_was_a_history(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table in ("history", "bodiless", "expected", "catalogue", "catalogue_words", "catalogue_state"):
            db.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("command", ["catalogue", "rebuild"])
def test_a_wrong_request_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    for name in ("none", "text"):
        assert_one_line(run(INVENTORY, command, "--database", tmp_path / name), INVENTORY)
    assert_one_line(run(INVENTORY, command), INVENTORY)
    assert "--database FILE" in run(INVENTORY, command, "--help").out


def test_a_database_that_is_in_use_for_too_long_is_one_line(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extracted.inventory.database.BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(history, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        done = run(INVENTORY, "rebuild", "--database", history)
    assert_one_line(done, INVENTORY)
    assert "locked" in done.err
