"""`strangler replay`: asking again, over real sockets, from evidence, examples and HAR files."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from strangler.cli import run
from strangler.compare import Difference, fingerprint
from strangler.evidence import Example, Observation, Releases, Store
from strangler.observer.har import HarError, read_har
from tests.support.cli import TEXT
from tests.support.proxy import service

PRICE = Difference("body", "$.price", "value", "number", "number", "1", "2")
ID = fingerprint("read", "GET", PRICE)


class Shop:
    """Two services: the new one charges one more for payment 7, and wants a key."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.old = self.new = 0

    def answer(self, side: str, request: web.Request) -> web.Response:
        self.asked[side, request.method] += 1
        if side == "new" and request.headers.get("authorization") not in (None, "Bearer it"):
            return web.json_response({}, status=401)
        wrong = side == "new" and request.path.endswith("/7")
        return web.json_response({"price": 11 if wrong else 10})


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    made = Shop()
    async with (
        service(lambda request: made.answer("old", request)) as made.old,
        service(lambda request: made.answer("new", request)) as made.new,
    ):
        (tmp_path / "routes.yaml").write_text(
            TEXT.replace(":8001", f":{made.old}").replace(
                "    shadow: 100%\n", "    shadow: 100%\n    compare: {noise: 0%, confirm: none}\n"
            )
        )
        monkeypatch.chdir(tmp_path)
        yield made


def recorded(*targets: str, at: float = 1000.0) -> None:
    with Store.open(Path(".strangler/evidence.sqlite3")) as store:
        for target in targets:
            wrong = target.endswith("/7")
            store.record(
                Observation(
                    route="read", method="GET", target=target, at=at, releases=Releases("", ""), worker="w",
                    outcome="mismatch" if wrong else "match", differences=(PRICE,) if wrong else (),
                    example=Example("GET", target, "", "") if wrong else None,
                )
            )  # fmt: skip


async def replayed(*arguments: str) -> int:
    return await asyncio.to_thread(run, ("replay", *arguments))


def har(path: Path, *entries: tuple[str, str, int, Any]) -> str:
    saved = [
        {
            "request": {"method": method, "url": url, "headers": [{"name": ":path", "value": "/"}]},
            "response": {
                "status": status,
                "headers": [
                    {"name": "Content-Type", "value": "application/json"},
                    {"name": "Content-Encoding", "value": "br"},
                ],
                "content": {
                    "text": base64.b64encode(json.dumps(body).encode()).decode(),
                    "encoding": "base64",
                },
            },
        }
        for method, url, status, body in entries
    ]
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": saved}}))
    return str(path)


async def test_recorded_requests_are_asked_again(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(*(f"/payments/{number}" for number in range(5)), "/payments/1")
    assert await replayed("--against", f"http://127.0.0.1:{shop.new}", "--json") == 0
    (route,) = json.loads(capsys.readouterr().out)["routes"]
    assert (route["route"], route["outcomes"]["match"], route["coverage"]["eligible"]) == ("read", 5, 5)
    assert shop.asked["new", "GET"] == 5
    recorded("/payments/7", at=2000.0)
    assert await replayed("read", "--against", f"http://127.0.0.1:{shop.new}") == 1
    assert "$.price" in capsys.readouterr().out
    assert await replayed("--against", f"http://127.0.0.1:{shop.new}", "--until", "1970-01-01T00:20") == 0
    assert await replayed("--against", f"http://127.0.0.1:{shop.new}", "--since", "2h") == 3


async def test_the_examples_of_a_fingerprint_are_asked_for(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recorded("/payments/1", "/payments/7", "/payments/[token 0123456789ab]/7")
    out = str(tmp_path / "replay.xml")
    address = f"http://127.0.0.1:{shop.new}"
    assert await replayed("--against", address, "--fingerprint", ID, "--format", "junit", "--out", out) == 1
    assert "$.price" in (tmp_path / "replay.xml").read_text()
    assert shop.asked == {("old", "GET"): 1, ("new", "GET"): 1}
    assert await replayed("--against", address, "--fingerprint", "00ff00ff00ff00ff") == 3
    assert "no example of 00ff00ff00ff00ff" in capsys.readouterr().err


async def test_a_har_file_is_compared_with_its_own_answers(
    shop: Shop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = har(
        tmp_path / "session.har",
        ("GET", "https://shop.example/payments/1?x=1", 200, {"price": 10}),
        ("GET", "https://shop.example/payments/2", 200, {"price": 9}),
        ("GET", "https://shop.example/other", 200, {}),
        ("POST", "https://shop.example/payments", 201, {}),
    )
    address = f"http://127.0.0.1:{shop.new}"
    assert await replayed("--against", address, "--har", file, "--json") == 1
    told = capsys.readouterr()
    (route,) = json.loads(told.out)["routes"]
    assert (route["outcomes"]["match"], route["outcomes"]["mismatch"]) == (1, 1)
    assert "no route claims them: 1" in told.err
    assert "they may change something: 1" in told.err
    assert shop.asked == {("new", "GET"): 2}
    assert (
        await replayed("--against", address, "--har", file, "--legacy", f"http://127.0.0.1:{shop.old}") == 0
    )


async def test_headers_are_sent_to_both_sides(shop: Shop) -> None:
    recorded("/payments/1")
    address = f"http://127.0.0.1:{shop.new}"
    assert await replayed("--against", address, "-H", "Authorization: Bearer it") == 0
    assert await replayed("--against", address, "-H", "Authorization: Bearer other") == 1


async def test_a_service_that_is_not_there_proves_nothing(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded("/payments/1")
    assert await replayed("--against", "http://127.0.0.1:9", "--json") == 3
    assert json.loads(capsys.readouterr().out)["routes"][0]["coverage"]["skipped"] == {
        "shadow_unreachable": 1
    }
    assert (
        await replayed(
            "--against", f"http://127.0.0.1:{shop.new}", "--legacy", "http://127.0.0.1:9", "--json"
        )
        == 3
    )
    assert json.loads(capsys.readouterr().out)["routes"][0]["coverage"]["skipped"] == {
        "legacy_unreachable": 1
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing option '--against'"),
        (("--against", "nowhere"), "write a URL"),
        (("--against", "http://127.0.0.1:1/path"), "a path cannot stand"),
        (("--against", "http://127.0.0.1:1", "--since", "noon"), "write a moment"),
        (("--against", "http://127.0.0.1:1", "-H", "nothing"), "write 'name: value'"),
        (("--against", "http://127.0.0.1:1", "--har", "gone.har"), "No such file"),
        (("--against", "http://127.0.0.1:1", "--har", "routes.yaml"), "not a HAR file"),
    ],
)
async def test_a_mistake_is_told_in_a_line(
    shop: Shop, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert await replayed(*arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "entry",
    [
        {"request": {"method": "GET", "url": "http://[::1/x"}, "response": {"status": 200}},
        {"request": {"method": "GET", "url": "http://a/\u00fc"}, "response": {"status": 200}},
        {
            "request": {"method": "GET", "url": "http://a/", "headers": [{"name": "a", "value": "b\r\nc"}]},
            "response": {"status": 200},
        },
        {
            "request": {"method": "GET", "url": "http://a/"},
            "response": {"status": 200, "content": {"text": "?", "encoding": "base64"}},
        },
        {"request": {"method": "GET"}, "response": {"status": 200}},
    ],
)
def test_a_damaged_entry_is_named(entry: dict[str, Any]) -> None:
    with pytest.raises(HarError, match=r"f\.har") as caught:
        read_har(json.dumps({"log": {"entries": [entry]}}).encode(), "f.har")
    assert "\n" not in str(caught.value)
