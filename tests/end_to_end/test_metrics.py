"""/metrics of real processes: what dashboard, alerts and documents say of it, and what restarts do to it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from strangler.observer.metrics import NAMES
from tests.support.deploy import asked, named, rules
from tests.support.promql import TARGET, Rendered, read, wrong
from tests.support.proxy import ROUTES, Proxy, load, proxy, service
from tests.support.raw import until

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "operations.md"
RAMPED = """\
  - name: order
    match: "/orders/{{id}}"
    extracted: new
    share: 25%
    shadow: 100%
    ramp: {{steps: [25%, 100%], hold: 10m}}
"""
PATHS = [f"/{secrets.token_hex(8)}" for _ in range(50)]


def item(request: web.Request) -> web.Response:
    return web.json_response({"id": request.path.rsplit("/", 1)[-1]})


async def scrape(session: aiohttp.ClientSession, admin: str) -> list[Metric]:
    async with session.get(f"{admin}/metrics") as answer:
        assert answer.status == 200
        return list(text_string_to_metric_families(await answer.text()))


async def settled(session: aiohttp.ClientSession, made: Proxy) -> list[Metric]:
    await made.settled(session)
    while True:  # what is in the evidence may be a second old in the report that /metrics shares
        found = await scrape(session, made.admin)
        names = ("exchanges_handed_total", "shadows_total", "evidence_pairs")
        if len({value(found, f"strangler_{name}") for name in names}) == 1:
            return found


def value(families: list[Metric], name: str, **labels: str) -> float:
    """The sum over all series of that name that have these labels."""
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def series(families: list[Metric]) -> Rendered:
    found: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            found[sample.name].append(sample.labels)
    return found


@dataclass
class Told:
    """What a proxy has told after some traffic, and after some more with paths of all kinds."""

    before: list[Metric]
    after: list[Metric]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return asyncio.run(_tell(tmp_path_factory.mktemp("proxy")))


async def _tell(folder: Path) -> Told:
    async with (
        service(item, release="1.0") as old,
        service(item, release="2.0") as new,
        proxy(folder, old, new, routes=ROUTES + RAMPED) as made,
        aiohttp.ClientSession() as session,
    ):

        async def ask(*paths: str) -> list[Metric]:
            for number, path in enumerate(paths):
                headers = {"X-User-Id": str(number)}
                async with session.get(made.url + path, headers=headers) as answer:
                    assert answer.status == 200
            return await settled(session, made)

        before = await ask(
            "/other", *(f"{path}/{number}" for number in range(50) for path in ("/items", "/orders"))
        )
        claimed = (f"{prefix}{path}" for path in PATHS for prefix in ("/items", "/orders"))
        after = await ask(*claimed, *PATHS)
        while value(after, "strangler_pool_connections", state="idle") < 2:  # noted once a second
            after = await settled(session, made)
        return Told(before, after)


def test_the_dashboard_and_the_alerts_ask_for_what_is_there(told: Told) -> None:
    rendered = dict(series(told.after)) | {"up": [dict.fromkeys(TARGET, "x")]}
    for rule in rules():
        if "record" in rule:
            rendered[rule["record"]] = [dict.fromkeys(read(rule["expr"]).labels or TARGET | {"route"}, "x")]
    places = list(asked())
    assert len(places) > 60
    assert [f"{where}: {fault}" for where, text, _ in places for fault in wrong(text, rendered)] == []
    for where, text, said in places:
        found = read(text)
        plain = set().union(*(labels for each in found.selectors for labels in rendered[each.name]))
        assert named(said) - {"value"} <= (found.labels or plain) | TARGET, f"{where}: {said}"


def test_the_dashboard_shows_every_metric(told: Told) -> None:
    shown = {selector.name for _, text, _ in asked() for selector in read(text).selectors}
    forms = {name: {name, f"{name}_bucket"} for name in NAMES}
    assert [name for name, either in forms.items() if not either & shown] == []


def test_the_documents_name_every_metric_with_its_labels_and_no_other(told: Told) -> None:
    rows = re.findall(r"^\| `(strangler_\w+)` \|([^|]*)\|", DOCS.read_text(encoding="utf-8"), re.M)
    documented = {name: set(re.findall(r"\w+", re.sub(r"\([^)]*\)", "", labels))) for name, labels in rows}
    rendered: dict[str, set[str]] = {}
    for family in told.after:
        if family.name.startswith("strangler_"):
            name = next(iter(family.samples)).name
            name = name.removesuffix("_bucket") if family.type == "histogram" else name
            rendered[name] = set().union(*(sample.labels for sample in family.samples)) - {"le"}
    assert documented == rendered
    assert set(rendered) == set(NAMES)


def test_names_follow_the_conventions(told: Told) -> None:
    for family in told.after:
        if family.name.startswith("strangler_"):
            assert family.documentation
            name = next(iter(family.samples)).name
            assert (family.type == "counter") == name.endswith("_total")
            assert not re.search(r"percent|millis|_ms\b|_kib|_mib|minutes|hours|_count$", name)


def test_paths_make_no_new_series(told: Told) -> None:
    before, after = series(told.before), series(told.after)
    key = lambda labels: sorted(labels.items())  # noqa: E731
    for name, found in after.items():
        assert sorted(map(key, found)) == sorted(map(key, before[name])), name
    values = {each for found in after.values() for labels in found for each in labels.values()}
    assert not [each for each in values for path in PATHS if path[1:] in each]
    routes = {labels["route"] for found in after.values() for labels in found if "route" in labels}
    assert routes == {"", "item", "order"}
    assert value(told.after, "strangler_requests_total", route="") == 51
    assert value(told.after, "strangler_requests_total", route="item") == 100


def test_what_is_told_adds_up(told: Told) -> None:
    after = told.after
    for route in ("item", "order"):
        assert value(after, "strangler_exchanges_handed_total", route=route) == 100
        assert value(after, "strangler_shadows_total", route=route, outcome="match") == 100
        assert value(after, "strangler_evidence_pairs", route=route, outcome="match") == 100
        assert value(after, "strangler_exchanges_skipped_total", route=route) == 0
        assert value(after, "strangler_wait_seconds_count", route=route) == 100
        assert value(after, "strangler_route_verdict", route=route) == 1
        assert value(after, "strangler_requests_total", route=route, status="2xx") == 100
    assert value(after, "strangler_ramp_held", route="order") == 0
    assert 0 < value(after, "strangler_requests_total", route="order", side="extracted") < 100
    assert value(after, "strangler_workers") == 2
    assert value(after, "strangler_report_up") == 1
    assert value(after, "strangler_evidence_size_bytes") > 10_000
    assert value(after, "strangler_workers_memory_bytes") > 2 * 10_000_000
    assert value(after, "strangler_pool_connections", state="idle") >= 2


COUNTED = (
    "strangler_requests_total",
    "strangler_wait_seconds_count",
    "strangler_exchanges_handed_total",
    "strangler_workers_cpu_seconds_total",
)


async def test_no_counter_goes_back_whoever_dies(tmp_path: Path) -> None:
    async with service(item) as old, service(item) as new, aiohttp.ClientSession() as session:
        async with proxy(tmp_path, old, new) as made:
            last = dict.fromkeys(COUNTED, 0.0)

            async def look() -> None:
                found = await scrape(session, made.admin)
                for name in COUNTED:
                    now = value(found, name)
                    assert now >= last[name], f"{name} went back"
                    last[name] = now

            async with load(lambda number: f"{made.url}/items/{number}") as callers:
                for module in (
                    "strangler.gateway",
                    "strangler.observer",
                    "strangler.gateway",
                    "strangler.observer",
                ):
                    enough = callers.asked + 200
                    while callers.asked < enough:
                        await look()
                    victim = made.children(module)[0]
                    victim.kill()
                    await _replaced(made, module, victim, look)
            asked_for = callers.asked
            report = await made.settled(session)
            await look()
            # Who was cut off by a worker's death asks again; what the dead worker had counted is all there.
            assert callers.failed <= 16
            assert asked_for - callers.failed <= last["strangler_requests_total"] <= asked_for + 16
            lost = report["coverage"]["skipped"].get("worker_lost", 0)
            handed = last["strangler_exchanges_handed_total"]
            assert (
                report["coverage"]["eligible"] - lost
                <= handed + _let_go(report)
                <= report["coverage"]["eligible"]
            )
        before = dict(last)
        async with proxy(tmp_path, old, new) as made:
            await look()
            assert last["strangler_requests_total"] == before["strangler_requests_total"]
            assert last["strangler_wait_seconds_count"] == before["strangler_wait_seconds_count"]
            async with session.get(f"{made.url}/items/1") as answer:
                assert answer.status == 200
            while last["strangler_requests_total"] == before["strangler_requests_total"]:
                await look()
            assert last["strangler_requests_total"] == before["strangler_requests_total"] + 1
    assert list((tmp_path / "state" / "workers").iterdir()) == []


def _let_go(report: dict[str, object]) -> int:
    skipped: dict[str, int] = report["coverage"]["skipped"]  # type: ignore[index]
    return skipped.get("observer_down", 0) + skipped.get("queue_full", 0)


async def _replaced(made: Proxy, module: str, victim: psutil.Process, look: Callable[[], object]) -> None:
    count = 2 if module == "strangler.gateway" else 1
    async with asyncio.timeout(20):
        while True:
            await look()  # type: ignore[misc]
            pids = {child.pid for child in made.children(module) if child.is_running()}
            if len(pids) == count and victim.pid not in pids:
                return


async def test_saves_are_counted_as_taken_and_as_refused(tmp_path: Path) -> None:
    async with (
        service(item) as old,
        service(item) as new,
        proxy(tmp_path, old, new, workers=1) as made,
        aiohttp.ClientSession() as session,
    ):

        async def reloads(taken: int, refused: int) -> float:
            async with asyncio.timeout(10):
                while True:
                    found = await scrape(session, made.admin)
                    counts = [
                        value(found, "strangler_reloads_total", result=result)
                        for result in ("taken", "refused")
                    ]
                    if counts == [taken, refused]:
                        return value(found, "strangler_reload_last_success_timestamp_seconds")

        started = await reloads(0, 0)
        text = made.routes.read_text()
        made.routes.write_text(text.replace("share: 0%", "share: 5%"))
        first = await reloads(1, 0)
        assert first > started > 1e9
        made.routes.write_text(text.replace("share: 0%", "share: 5 percent"))
        assert await reloads(1, 1) == first
        [observer] = made.children("strangler.observer")
        os.kill(observer.pid, signal.SIGKILL)
        await until(lambda: not observer.is_running())
        assert await reloads(1, 1) == first, "the supervisor knows"
        made.routes.write_text(text)
        assert await reloads(2, 1) > first
