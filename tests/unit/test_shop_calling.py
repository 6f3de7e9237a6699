"""What an answer means, how long the wait is, and when a step is given up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from legacy_monolith import token_keys
from legacy_monolith.backoff import Backoff
from legacy_monolith.calling import Caller
from legacy_monolith.errors import NotPaid, OutOfStock
from legacy_monolith.ports import Call
from legacy_monolith.replies import Done, Failed, Heard, Refusal, Unsettled, judge, locked
from legacy_monolith.saga import Step
from legacy_monolith.saga_log import Pending
from legacy_monolith.token_keys import KeySource

PROBLEM = b'{"title": "Conflict", "detail": "5 of TEA-001 were ordered"}'


@pytest.mark.parametrize(
    ("step", "heard", "means"),
    [
        ("reserve", Heard(201, b"{}"), Done()),
        ("release", Heard(200, b""), Done()),
        ("reserve", Heard(409, PROBLEM), Refusal(OutOfStock, "5 of TEA-001 were ordered")),
        ("charge", Heard(402, b"no JSON"), Refusal(NotPaid, "charge was refused")),
        # Somebody else is doing just this, so nothing is refused.
        ("reserve", Heard(409, PROBLEM, 2.0), Unsettled("409 5 of TEA-001 were ordered", wait=2.0)),
        ("charge", Heard(409, b"[]"), Unsettled("409", hopeless=True)),
        ("confirm", Heard(409, PROBLEM), Unsettled("409 5 of TEA-001 were ordered", hopeless=True)),
        ("refund", Heard(402, b""), Unsettled("402", hopeless=True)),
        ("charge", Heard(422, b""), Unsettled("422", hopeless=True)),
        ("charge", Heard(404, b""), Unsettled("404")),
        ("charge", Heard(405, b""), Unsettled("405")),
        ("charge", Heard(429, b"", 1.0), Unsettled("429", wait=1.0)),
        ("charge", Heard(500, b'{"detail": 7}'), Unsettled("500")),
        ("charge", Heard(503, b"", 9.0), Unsettled("503", wait=9.0)),
        ("charge", Heard(302, b""), Unsettled("302")),
    ],
)
def test_what_an_answer_means(step: Step, heard: Heard, means: object) -> None:
    assert judge(step, heard) == means


@pytest.mark.parametrize(("signed", "cause"), [(True, "not the service's"), (False, "no --token-keys")])
@pytest.mark.parametrize("attended", [True, False])
def test_a_locked_door_says_nothing_about_the_step(signed: bool, attended: bool, cause: str) -> None:
    heard = locked(Heard(401, b'{"detail": "no"}'), signed=signed, attended=attended)
    assert heard.text.startswith("401 no; ")
    assert cause in heard.text
    # Only a person who has brought no keys is told at once; a shop may be given some, or they may be on their way.
    assert heard.hopeless == (attended and not signed)


BACKOFF = Backoff(first=0.1, most=2.0, retry_for=10.0, undo_for=100.0)


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (5, 1.6), (6, 2.0), (7, 2.0), (5000, 2.0)]
)
def test_the_wait_doubles_up_to_a_limit_and_any_part_of_it_is_drawn(attempt: int, longest: float) -> None:
    assert BACKOFF.pause("charge", attempt, 0.0, 0.0) == 0.0
    assert BACKOFF.pause("charge", attempt, 0.0, 0.5) == pytest.approx(longest / 2)
    assert BACKOFF.pause("charge", attempt, 0.0, 0.999) == pytest.approx(longest * 0.999)


def test_what_the_other_side_asks_for_is_waited_for_within_reason() -> None:
    assert BACKOFF.pause("charge", 1, 0.0, 0.5, wait=1.0) == 1.0
    assert BACKOFF.pause("charge", 1, 0.0, 0.5, wait=3600.0) == 2.0


def test_patience_ends_sooner_for_what_is_wanted_than_for_what_is_owed() -> None:
    assert BACKOFF.pause("confirm", 6, 9.0, 0.5) == 1.0
    assert BACKOFF.pause("confirm", 6, 9.1, 0.5) is None
    assert BACKOFF.pause("refund", 6, 99.0, 0.5) == 1.0
    assert BACKOFF.pause("refund", 6, 99.1, 0.5) is None


@dataclass
class Service:
    """Answers as it is told, one answer after the other, and then for ever 201."""

    answers: list[web.Response] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    address: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers["Idempotency-Key"])
        self.tokens.append(request.headers.get("Authorization"))
        self.bodies.append(await request.read())
        return self.answers.pop(0) if self.answers else web.Response(status=201)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_post("/payments", service.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


@dataclass
class Time:
    """A clock that goes on when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
async def ask(service: Service) -> AsyncIterator[Callable[..., Awaitable[tuple[object, Time]]]]:
    async with aiohttp.ClientSession() as session:

        async def carry_out(address: str = "", keys: KeySource | None = None) -> tuple[object, Time]:
            time = Time()
            caller = Caller(
                *(session, address or service.address, Backoff(retry_for=3.0), keys),
                call_within=5.0,
                clock=lambda: time.now,
                draw=lambda: 0.5,
                sleep=time.sleep,
            )
            what = Pending(7, "charge", 1, Call("/payments", '{"a": 1}'), "order-7:charge:1")
            return await caller.carry_out(what), time

        yield carry_out


Ask = Callable[..., Awaitable[tuple[object, Time]]]


async def test_a_call_is_made_again_with_the_same_key_and_body(service: Service, ask: Ask) -> None:
    service.answers = [web.Response(status=500), web.Response(status=503, headers={"Retry-After": "1"})]
    reply, time = await ask()
    assert reply == Done()
    assert service.keys == ["order-7:charge:1"] * 3
    assert service.bodies == [b'{"a": 1}'] * 3
    assert time.slept == [0.05, 1.0]


async def test_each_attempt_is_signed_anew_with_the_keys_of_the_moment(service: Service, ask: Ask) -> None:
    service.answers = [web.Response(status=401), web.Response(status=401)]
    turns = iter([b"1" * 32, b"2" * 32, b"3" * 32])
    reply, _ = await ask(keys=lambda: token_keys.rotated(None, next(turns), 0))
    assert reply == Done()
    assert len(set(service.tokens)) == 3
    assert all(token and token.startswith("Bearer shop1.k1.shop.") for token in service.tokens)
    service.tokens.clear()
    await ask()
    assert service.tokens == [None]


async def test_a_step_is_given_up_when_patience_ends(service: Service, ask: Ask) -> None:
    service.answers = [web.Response(status=500, body=b'{"detail": "no"}') for _ in range(99)]
    reply, time = await ask()
    assert reply == Failed("500 no", 6)
    assert time.slept == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])


async def test_what_is_hopeless_is_not_asked_twice(service: Service, ask: Ask) -> None:
    service.answers = [web.Response(status=422, body=b'{"detail": "used"}')]
    assert await ask() == (Failed("422 used", 1), Time())


async def test_an_answer_without_an_end_is_understood_by_its_beginning(service: Service, ask: Ask) -> None:
    leave = asyncio.Event()

    async def forever() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        await leave.wait()

    service.answers = [web.Response(status=402, body=forever())]
    assert await ask() == (Refusal(NotPaid, "charge was refused"), Time())
    leave.set()


async def test_nobody_there_is_no_answer(ask: Ask) -> None:
    reply, time = await ask("http://127.0.0.1:1")
    assert isinstance(reply, Failed)
    assert reply.attempts == len(time.slept) + 1 == 6
    assert "Cannot connect" in reply.text
