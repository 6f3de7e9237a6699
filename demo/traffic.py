"""The customers: seeded, so that every run asks the same questions, and counted, so that none is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import aiohttp

CUSTOMERS: Final = 400
ACCOUNTS: Final = 200  # that the shop opens for its seeded past
PAYMENTS: Final = 800  # that this past has brought
CONNECTIONS: Final = 24  # kept alive, as those of a load balancer in front of the proxy would be
PATIENCE: Final = aiohttp.ClientTimeout(total=20)

_SKUS: Final = [f"{prefix}-{n:03}" for prefix in ("TEA", "COF", "CUP", "POT", "TOO") for n in range(1, 9)]


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody whom the proxy recognises: by a header, or by a session cookie."""

    name: str
    account: int
    header: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What a customer asks for. `route` is the name that routes.yaml gives it, "" for what is not routed."""

    customer: Customer
    route: str
    path: str
    order: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `release` is what the service that answered calls itself."""

    request: Request
    status: int
    release: str


@dataclass(slots=True)
class Count:
    """Every request of the demo, and what became of those that failed."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)


def customers() -> list[Customer]:
    """All of them. Three of five log in and have a user id; the others have no more than a session."""
    return [_customer(number) for number in range(CUSTOMERS)]


def _customer(number: int) -> Customer:
    account = 1 + number % ACCOUNTS
    if number % 5 < 3:
        return Customer(f"user {number}", account, ("X-User-Id", str(number)))
    return Customer(f"session {number}", account, ("Cookie", f"theme=dark; session=s{number:05}"))


def orders(who: Sequence[Customer], random: Random, count: int) -> list[Request]:
    """Orders of the kind that succeed: for what the shop has enough of, paid by a card that is good."""
    return [_order(random.choice(who), random) for _ in range(count)]


def _order(customer: Customer, random: Random) -> Request:
    items = [{"sku": sku, "quantity": random.randint(1, 2)} for sku in random.sample(_SKUS[:9], 2)]
    payment = {"method": "card", "card": "tok_visa"}
    return Request(
        customer, "", "/orders", {"account_id": customer.account, "items": items, "payment": payment}
    )


def browsing(who: Sequence[Customer], random: Random, count: int, *, routed: bool = False) -> list[Request]:
    """Reads of every kind, a good half of them of payments, for that is the route that will move.

    With `routed`, only of what routes speak of.
    """
    known = [kind for kind, (route, _, _) in _PATHS.items() if route or not routed]
    kinds = random.choices(known, weights=[_PATHS[kind][1] for kind in known], k=count)
    return [_read(kind, random.choice(who), random) for kind in kinds]


def visits(who: Sequence[Customer], random: Random, each: int) -> list[Request]:
    """Every customer looks at `each` payments, all of them in turns, and at some stock in between."""
    asked = [_read("payment", customer, random) for customer in who for _ in range(each)]
    asked += [_read("stock", customer, random) for customer in who]
    random.shuffle(asked)
    return asked


def _payment(customer: Customer, random: Random) -> str:
    # Now and then somebody follows a link to a payment that never was.
    return f"/payments/{random.randint(1, PAYMENTS) if random.random() < 0.98 else 900_000}"


def _payments(customer: Customer, random: Random) -> str:
    return f"/accounts/{customer.account}/payments"


def _stock(customer: Customer, random: Random) -> str:
    return f"/stock/{random.choice(_SKUS)}"


def _all_stock(customer: Customer, random: Random) -> str:
    return random.choice(["/stock", "/stock?below=5", "/stock?below=300"])


def _catalogue(customer: Customer, random: Random) -> str:
    return random.choice(
        ["/catalogue", "/catalogue?category=coffee", "/catalogue?q=oolong+tea", "/catalogue?q=pot"]
    )


def _product(customer: Customer, random: Random) -> str:
    return f"/products/{random.choice(_SKUS)}"


def _account(customer: Customer, random: Random) -> str:
    return f"/accounts/{customer.account}"


#: kind: (route, weight, path)
_PATHS: Final[dict[str, tuple[str, int, Callable[[Customer, Random], str]]]] = {
    "payment": ("payment-read", 62, _payment),
    "payments of an account": ("account-payments", 10, _payments),
    "stock": ("stock-read", 13, _stock),
    "all stock": ("stock-list", 4, _all_stock),
    "catalogue": ("catalogue", 4, _catalogue),
    "product": ("", 3, _product),
    "account": ("", 4, _account),
}


def _read(kind: str, customer: Customer, random: Random) -> Request:
    route, _, path = _PATHS[kind]
    return Request(customer, route, path(customer, random))


class Crowd:
    """Sends requests through the proxy, many at a time, and counts all of them. A context manager."""

    def __init__(self, proxy: str) -> None:
        self.count = Count()
        self._proxy = proxy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),  # every customer brings a cookie of their own
            timeout=PATIENCE,
        )
        # The client would send a read again when its connection breaks, and so hide a request that failed.
        self._session._retry_connection = False

    async def __aenter__(self) -> Crowd:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, requests: Sequence[Request], on_answer: Callable[[], None]) -> list[Answer]:
        """Send all requests. The answers come in no order, and without those that failed."""
        waiting = iter(requests)
        answers: list[Answer] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._work(waiting, answers, on_answer))
        return answers

    async def _work(
        self, waiting: Iterator[Request], answers: list[Answer], on_answer: Callable[[], None]
    ) -> None:
        for request in waiting:
            self.count.requests += 1
            answer = await self._ask(request)
            if answer is not None:
                answers.append(answer)
            on_answer()

    async def _ask(self, request: Request) -> Answer | None:
        """One request. What is no answer, or one that a server is to blame for, is a failure."""
        method = "GET" if request.order is None else "POST"
        name, value = request.customer.header
        try:
            async with self._session.request(
                method, self._proxy + request.path, json=request.order, headers={name: value}
            ) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failed(request, f"{type(error).__name__} {error}".strip())
            return None
        if response.status >= 500:
            self._failed(request, f"answered {response.status}")
            return None
        return Answer(request, response.status, response.headers.get("X-Release", ""))

    def _failed(self, request: Request, why: str) -> None:
        method = "GET" if request.order is None else "POST"
        self.count.failures.append(f"{method} {request.path} of {request.customer.name}: {why}")
