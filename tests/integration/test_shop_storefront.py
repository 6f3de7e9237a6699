"""The storefront in a browser: what is shown, who is logged in, and what is refused."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from lxml import html

from tests.support.shop_browser import EMAIL, Browser, Page
from tests.support.shop_services import Service, dump, running

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;=cmd"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "shop.sqlite3"


@pytest.fixture(scope="module")
def shop(database: Path) -> Iterator[Service]:
    keys = database.with_name("keys.json")
    with running("legacy_monolith", "--database", database, "--token-keys", keys) as service:
        yield service


@pytest.fixture
def browser(shop: Service) -> Browser:
    return Browser(shop.port)


def titles(page: Page) -> str:
    return str(html.fromstring(page.body).findtext(".//h1"))


def refusal(page: Page) -> str:
    return " ".join(html.fromstring(page.body).xpath("//p[@role='alert']/text()"))


# -- what is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/shop", "/catalogue"),
        ("/shop?category=tea", "/catalogue?category=tea"),
        ("/shop?category=%3Cb%3E%26x%3D1", "/catalogue?category=%3Cb%3E%26x%3D1"),
    ],
)
def test_where_the_catalogue_was_leads_to_where_it_is(browser: Browser, old: str, new: str) -> None:
    answer = browser.ask(old)
    assert (answer.status, answer.headers["location"]) == (303, new)


def test_a_page_may_load_its_stylesheet_and_nothing_else(browser: Browser) -> None:
    page = browser.ask("/shop/products/TEA-001")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "private, no-cache"
    assert page.headers["vary"] == "Cookie"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script|<style|style=|\son\w+=|https?:", page.text)
    (style,) = html.fromstring(page.body).xpath("//link/@href")
    sheet = browser.ask(style)
    assert (sheet.status, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert sheet.headers["cache-control"] == "public, max-age=60"
    again = browser.ask(style, If_None_Match=sheet.headers["etag"])
    assert (style, again.status, again.body) == ("/shop/shop.css", 304, b"")
    assert "prefers-color-scheme: dark" in sheet.text
    assert "url(" not in sheet.text


@pytest.mark.parametrize("path", ["/shop/", "/shop/none", "/shop/products/NOPE", "/shop/products/%FF%00"])
def test_what_is_not_there_is_a_page_too(browser: Browser, path: str) -> None:
    page = browser.ask(path)
    assert (page.status, titles(page)) == (404, "Not Found")


def test_browsers_are_shown_the_way_and_programs_are_not(browser: Browser) -> None:
    assert browser.follow("/", Accept="text/html,*/*;q=0.8").status == 200
    answer = browser.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_same_page_is_the_same_twice(browser: Browser) -> None:
    browser.log_in()
    for path in ("/catalogue", "/shop/products/TEA-001", "/shop/orders", "/shop/orders/10710"):
        assert browser.ask(path).body == browser.ask(path).body


@pytest.fixture
def hostile(database: Path) -> Iterator[str]:
    sku = "<i>-1"
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("INSERT INTO products VALUES (?, ?, ?, 1000, 19)", (sku, HOSTILE, "<u>&'\""))
        db.execute("INSERT INTO stock_items VALUES (?, 1, 1)", (sku,))
        db.execute("INSERT INTO stock_levels VALUES (?, 'LEJ', 9, 0)", (sku,))
        was = db.execute("SELECT name FROM accounts WHERE account_id = 7").fetchone()[0]
        db.execute("UPDATE accounts SET name = ? WHERE account_id = 7", (HOSTILE,))
        yield sku
        db.execute("UPDATE accounts SET name = ? WHERE account_id = 7", (was,))
        for table in ("stock_levels", "stock_items", "products"):
            db.execute(f"DELETE FROM {table} WHERE sku = ?", (sku,))


def test_hostile_names_are_shown_as_they_are_and_carried_out_nowhere(
    browser: Browser, hostile: str, database: Path
) -> None:
    browser.log_in()
    sku = "%3Ci%3E-1"
    bought = browser.buy(sku)
    assert bought.status == 303
    order = bought.headers["location"]
    for path in (f"/shop/products/{sku}", order):
        page = browser.ask(path)
        assert page.status == 200
        tree = html.fromstring(page.body)
        assert tree.xpath("//script | //img | //i | //u | //@onerror") == []
        assert HOSTILE in [text.strip() for text in tree.xpath("//main//text()")], path
        assert tree.xpath("//span[@class='who']/text()") == [HOSTILE]
    tree = html.fromstring(browser.ask("/catalogue", Accept="text/html").body)
    assert tree.xpath("//script | //img | //i | //u | //@onerror") == []
    assert HOSTILE in tree.xpath(f"//a[@href='/shop/products/{sku}']/span/text()")
    exported = browser.ask(f"/orders/{order.rpartition('/')[2]}.csv").text
    assert HOSTILE.replace('"', '""') in exported


# -- logging in --------------------------------------------------------------------------------------------


def test_a_login_gives_a_session_and_a_token_that_scripts_cannot_read(browser: Browser) -> None:
    page = browser.log_in(after="/shop/orders")
    assert (page.status, page.headers["location"]) == (303, "/shop/orders")
    assert set(page.cookies) == {"session", "shop_token"}
    for name, life in (("session", "43200"), ("shop_token", "300")):
        morsel = page.cookies[name]
        assert morsel["httponly"]
        assert not morsel["secure"]
        assert (morsel["samesite"], morsel["path"], morsel["max-age"]) == ("Lax", "/", life)
    assert browser.jar["shop_token"].startswith("shop1.k1.7.")
    assert "Donald Clarke" in browser.ask("/shop/orders").text


def test_cookies_are_for_tls_only_where_the_caller_came_over_tls(browser: Browser) -> None:
    form = browser.ask("/shop/login", X_Forwarded_Proto="https")
    assert form.cookies["shop_form"]["secure"]
    fields = {"form": form.field("form"), "email": EMAIL[7], "password": "tea for two"}
    page = browser.ask("/shop/login", fields, X_Forwarded_Proto="https")
    assert [morsel["secure"] for morsel in page.cookies.values()] == [True, True]


def test_a_planted_session_is_not_the_one_that_is_logged_in(browser: Browser) -> None:
    planted = "A" * 43
    browser.jar["session"] = planted
    assert browser.ask("/shop/orders").status == 303
    browser.jar["session"] = planted
    browser.log_in()
    assert browser.jar["session"] != planted
    attacker = Browser(browser.port, {"session": planted})
    assert attacker.ask("/shop/orders").status == 303


def test_a_new_login_ends_the_session_that_was_there(browser: Browser, shop: Service) -> None:
    browser.log_in()
    first = dict(browser.jar)
    form = browser.ask("/shop/login?next=/shop", Cookie=f"shop_form={browser.jar['shop_form']}")
    fields = {"form": form.field("form"), "email": EMAIL[7], "password": "tea for two"}
    assert browser.ask("/shop/login", fields).status == 303
    assert browser.jar["session"] != first["session"]
    assert Browser(shop.port, {"session": first["session"]}).ask("/shop/orders").status == 303
    assert browser.ask("/shop/orders").status == 200


def test_a_session_that_is_over_is_taken_back(browser: Browser) -> None:
    browser.jar |= {"session": "A" * 43, "shop_token": "old"}
    browser.ask("/shop")
    assert "session" not in browser.jar
    assert "shop_token" not in browser.jar


def test_a_wrong_password_is_told_and_the_address_is_kept(browser: Browser) -> None:
    page = browser.log_in(8, password="tea for three")
    assert page.status == 403
    assert refusal(page) == "This e-mail address and this password do not belong together."
    assert html.fromstring(page.body).xpath("//input[@name='email']/@value") == [EMAIL[8]]
    assert b"tea for three" not in page.body
    assert "session" not in browser.jar


def test_guessing_is_slowed_down_and_says_for_how_long(shop: Service) -> None:
    browser = Browser(shop.port)
    form = browser.ask("/shop/login").field("form")
    fields = {"form": form, "email": '"><b>@example.org', "password": "guess"}
    statuses = []
    # On a slow machine the first wait is over before the next guess is made; those after it are longer.
    while (answer := browser.ask("/shop/login", fields)).status == 403:
        statuses.append(answer.status)
        assert len(statuses) <= 10
    assert (len(statuses) >= 5, answer.status) == (True, 429)
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 60
    assert refusal(answer) == f"Too many attempts: try again in {wait} seconds."
    assert b"<b>" not in answer.body


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/shop/../../x",
        "/shop//evil.example",
        "x",
    ],
)
def test_a_login_leads_nowhere_but_into_the_shop(browser: Browser, after: str) -> None:
    assert browser.log_in(after=after).headers["location"] == "/shop/orders"


def test_who_is_logged_in_already_is_sent_on(browser: Browser) -> None:
    browser.log_in()
    answer = browser.ask("/shop/login?next=/shop/orders")
    assert (answer.status, answer.headers["location"]) == (303, "/shop/orders")


def test_a_logout_ends_the_session_and_takes_both_cookies_back(browser: Browser, shop: Service) -> None:
    browser.log_in()
    session = browser.jar["session"]
    answer = browser.log_out()
    assert (answer.status, answer.headers["location"]) == (303, "/catalogue")
    assert set(browser.jar) == {"shop_form"}
    assert Browser(shop.port, {"session": session}).ask("/shop/orders").status == 303
    answer = browser.ask("/shop/orders")
    assert answer.headers["location"] == "/shop/login?next=/shop/orders"


# -- tokens ------------------------------------------------------------------------------------------------


def test_a_page_renews_a_token_only_when_there_is_need(browser: Browser) -> None:
    browser.log_in()
    token = browser.jar["shop_token"]
    assert not browser.ask("/shop").cookies
    browser.jar["shop_token"] = token.replace(".7.", ".8.")
    assert browser.ask("/shop").cookies["shop_token"].value.startswith("shop1.k1.7.")
    del browser.jar["shop_token"]
    assert browser.ask("/shop").cookies["shop_token"].value.startswith("shop1.k1.7.")


def test_the_api_sets_no_cookies_for_they_would_differ_from_those_of_a_service(browser: Browser) -> None:
    browser.log_in()
    del browser.jar["shop_token"]
    for path in ("/accounts/7/payments", "/payments/1", "/orders/10710", "/orders/10710.csv", "/stock"):
        assert not browser.ask(path).cookies


def test_a_service_is_given_a_token_for_a_session(browser: Browser, shop: Service) -> None:
    browser.log_in()
    answer = shop.ask("/session/token", "POST", Cookie=f"session={browser.jar['session']}")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["token"].startswith("shop1.k1.7.")
    stranger = shop.ask("/session/token", "POST", Cookie="session=" + "A" * 43)
    assert (stranger.status, stranger.headers["www-authenticate"]) == (401, 'Bearer realm="shop"')
    page = shop.ask(
        "/session/token", "POST", Cookie=f"session={browser.jar['session']}", Sec_Fetch_Site="same-origin"
    )
    assert page.status == 403


# -- forms that are none of ours ---------------------------------------------------------------------------


def buy_fields(browser: Browser) -> dict[str, str]:
    page = browser.ask("/shop/products/TEA-002")
    return {"form": page.field("form"), "after": page.field("after"), "quantity": "1", "pay": "tok_visa"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
    ids=str,
)
def test_a_form_of_another_site_changes_nothing(
    browser: Browser, database: Path, headers: dict[str, str]
) -> None:
    browser.log_in()
    fields, before = buy_fields(browser), dump(database)
    for path in ("/shop/products/TEA-002", "/shop/logout", "/shop/login"):
        assert browser.ask(path, fields, **headers).status == 403
    assert dump(database) == before


@pytest.mark.parametrize("form", ["", "A" * 43, None, "é"])
def test_a_form_without_its_key_changes_nothing(browser: Browser, database: Path, form: str | None) -> None:
    browser.log_in()
    fields, before = buy_fields(browser), dump(database)
    if form is None:
        del fields["form"]
    else:
        fields["form"] = form
    page = browser.ask("/shop/products/TEA-002", fields)
    assert page.status == 403
    assert b"this form is out of date" in page.body.lower()
    assert browser.ask("/shop/logout", {"form": form or ""}).status == 403
    assert dump(database) == before


def test_the_key_of_another_session_does_not_fit(browser: Browser, shop: Service) -> None:
    browser.log_in()
    other = Browser(shop.port)
    other.log_in(8)
    fields = buy_fields(browser) | {"form": buy_fields(other)["form"]}
    assert browser.ask("/shop/products/TEA-002", fields).status == 403


def test_a_login_form_fits_the_browser_that_loaded_it_only(browser: Browser, shop: Service) -> None:
    form = browser.ask("/shop/login").field("form")
    fields = {"form": form, "email": EMAIL[7], "password": "tea for two"}
    assert Browser(shop.port).ask("/shop/login", fields).status == 403
    assert Browser(shop.port, {"shop_form": ""}).ask("/shop/login", fields | {"form": ""}).status == 403
    other = Browser(shop.port)
    other.ask("/shop/login")
    assert other.ask("/shop/login", fields).status == 403


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"form": "x" * 70_000}, "application/x-www-form-urlencoded"),
        ({str(number): "" for number in range(30)}, "application/x-www-form-urlencoded"),
        ({"form": "x"}, "text/plain"),
        ({"form": "x"}, "multipart/form-data"),
    ],
)
def test_what_is_no_form_is_refused(browser: Browser, body: dict[str, str], kind: str) -> None:
    browser.ask("/shop/login")
    assert browser.ask("/shop/login", body, Content_Type=kind).status in (400, 413)


# -- buying ------------------------------------------------------------------------------------------------


def test_a_product_is_bought_and_shown_among_the_own_orders(browser: Browser, shop: Service) -> None:
    browser.log_in()
    answer = browser.buy("TEA-003", 2)
    assert answer.status == 303
    order_id = answer.headers["location"].rpartition("/")[2]
    order = shop.ask(f"/orders/{order_id}").json
    assert (order["account_id"], order["lines"][0]["sku"], order["lines"][0]["quantity"]) == (7, "TEA-003", 2)
    page = browser.ask(answer.headers["location"])
    assert titles(page) == f"Order {order_id}"
    assert f"{order['total']['amount']:.2f} €" in page.text
    assert ">confirmed<" in page.text
    assert f'href="/shop/orders/{order_id}"' in browser.ask("/shop/orders").text


def test_an_order_of_somebody_else_is_not_there(browser: Browser, shop: Service) -> None:
    browser.log_in(8)
    of_seven = 10710
    assert shop.ask(f"/orders/{of_seven}").json["account_id"] == 7
    for path in (of_seven, 99999, "x", "9" * 30, "010710"):
        assert browser.ask(f"/shop/orders/{path}").status == 404


def test_a_form_that_is_sent_twice_orders_once(browser: Browser, database: Path) -> None:
    browser.log_in()
    fields = buy_fields(browser)
    first = browser.ask("/shop/products/TEA-002", fields)
    before = dump(database)
    second = browser.ask("/shop/products/TEA-002", fields)
    assert (first.status, second.status) == (303, 409)
    assert refusal(second).startswith("You have ordered since this page was loaded")
    assert dump(database) == before
    assert browser.ask("/shop/products/TEA-002", buy_fields(browser)).status == 303


@pytest.mark.parametrize(
    ("sku", "quantity", "pay", "status", "said"),
    [
        ("TEA-002", 1, "tok_declined", 402, "The card was declined."),
        ("TEA-002", 0, "tok_visa", 400, "The quantity must be a whole number from 1 to 20."),
        ("TEA-002", 21, "tok_visa", 400, "The quantity must be a whole number from 1 to 20."),
        ("TEA-002", "1e1", "tok_visa", 400, "The quantity must be a whole number from 1 to 20."),
        ("TEA-002", 1, "tok_mine", 400, "Choose how to pay."),
        ("CUP-004", 20, "tok_visa", 409, "20 of CUP-004 were ordered, 1 are available."),
    ],
)
def test_what_cannot_be_bought_is_told_on_the_page(
    browser: Browser, database: Path, sku: str, quantity: object, pay: str, status: int, said: str
) -> None:
    browser.log_in()
    before = dump(database)
    page = browser.buy(sku, quantity, pay)
    assert (page.status, refusal(page)) == (status, said)
    assert html.fromstring(page.body).xpath("//button[text()='Buy now']")
    assert dump(database) == before


def test_who_has_not_logged_in_is_shown_the_way_and_buys_nothing(browser: Browser, database: Path) -> None:
    before = dump(database)
    page = browser.ask("/shop/products/TEA-002")
    assert "To buy this, log in first." in page.text
    answer = browser.ask("/shop/products/TEA-002", {"quantity": 1, "pay": "tok_visa"})
    assert (answer.status, answer.headers["location"]) == (303, "/shop/login?next=/shop/products/TEA-002")
    assert dump(database) == before


def test_a_busy_database_is_a_page_that_says_so(browser: Browser, database: Path) -> None:
    browser.log_in()
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        page = browser.buy("TEA-002")
        db.execute("ROLLBACK")
    assert (page.status, titles(page)) == (503, "Service Unavailable")
