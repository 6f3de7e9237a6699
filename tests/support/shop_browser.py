"""A browser as far as the storefront needs one: it keeps cookies, fills in forms, and follows redirects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from tests.support.shop_services import PATIENCE, Answer

PASSWORD = "tea for two"
#: Of the default seed.
EMAIL = {7: "donald.clarke.7@example.org", 8: "radia.wirth.8@example.org"}


@dataclass(frozen=True)
class Page(Answer):
    cookies: SimpleCookie

    @property
    def text(self) -> str:
        return self.body.decode()

    def field(self, name: str) -> str:
        """The value of the last hidden field of that name: a page's own form comes after the one to log out."""
        return unescape(re.findall(rf'<input type="hidden" name="{name}" value="([^"]*)">', self.text)[-1])


@dataclass
class Browser:
    port: int
    jar: dict[str, str] = field(default_factory=dict)

    def ask(self, target: str, fields: dict[str, Any] | None = None, **headers: str) -> Page:
        """GET a page, or POST a form, without following where it leads."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.jar and "Cookie" not in named:
            named["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        body = None
        if fields is not None:
            body = urlencode(fields)
            named.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET" if fields is None else "POST", target, body, named)
            response = connection.getresponse()
            cookies: SimpleCookie = SimpleCookie()
            for value in response.headers.get_all("Set-Cookie") or ():
                cookies.load(value)
            page = Page(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
                cookies,
            )
        finally:
            connection.close()
        for name, morsel in page.cookies.items():
            if morsel["max-age"] == "0":
                self.jar.pop(name, None)
            else:
                self.jar[name] = morsel.value
        return page

    def follow(self, target: str, fields: dict[str, Any] | None = None, **headers: str) -> Page:
        """The same, and then whatever it leads to."""
        page = self.ask(target, fields, **headers)
        while page.status in (302, 303):
            page = self.ask(page.headers["location"])
        return page

    def log_in(self, account_id: int = 7, password: str = PASSWORD, after: str = "/shop") -> Page:
        """Fill in the login form; the answer to that."""
        form = self.ask(f"/shop/login?next={after}")
        fields = {"form": form.field("form"), "next": form.field("next")}
        return self.ask("/shop/login", fields | {"email": EMAIL[account_id], "password": password})

    def log_out(self) -> Page:
        return self.ask("/shop/logout", {"form": self.ask("/shop/orders").field("form")})

    def buy(self, sku: str, quantity: object = 1, pay: str = "tok_visa") -> Page:
        page = self.ask(f"/shop/products/{sku}")
        fields = {"form": page.field("form"), "after": page.field("after")}
        return self.ask(f"/shop/products/{sku}", fields | {"quantity": quantity, "pay": pay})
