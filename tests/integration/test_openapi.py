"""The OpenAPI document: complete, exact, and held against the real answers of a running listener."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import jsonschema_rs
import msgspec
import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from strangler.console import make_app
from strangler.console.endpoints import ENDPOINTS
from strangler.console.openapi import document
from strangler.evidence import Releases, Sample, Store, sampled
from tests.support.console import TEXT, Console, FakePanel, make_panel, observe, observe_release, serving

#: A stream has no end, so it cannot be asked like the others; tests of its own do that.
STREAMS = {"/api/v1/events"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def exact() -> dict[str, Any]:
    """The document, taken at its word: what it does not name must not be there."""
    found = document()
    for component in found["components"]["schemas"].values():
        if component.get("type") == "object" and "properties" in component:
            component["additionalProperties"] = False
    return found


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    """With something of everything to tell."""
    made = make_panel(tmp_path)
    made.routes_file.write_text(TEXT.replace("    share: 0%     #", "    ramp: {}\n    share: 1%     #"))
    observe(made.state)
    observe_release(made.state, Releases("shop", "v2"), "mismatch", 3)
    observe_release(made.state, Releases("shop", "v3"), "match", 3)
    with Store.open(made.state / "evidence.sqlite3") as store:
        store.fold("w", {"read": {"traffic:legacy_2xx": 3, "traffic:legacy_wait_4": 3}})
    for at, count in ((1_700_000_000.0, 7), (1_700_000_010.0, 27)):
        counts = {("read", "extracted_2xx"): count, ("read", "extracted_wait_3"): count}
        made.ring = sampled(made.ring, Sample(at, counts))
    return made


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


def test_every_endpoint_is_in_it_and_no_other() -> None:
    anyone: Any = SimpleNamespace(token=None)  # nothing else of it is asked here
    app: web.Application = make_app(anyone)
    served = {
        (route.method.lower(), resource.canonical)
        for resource in app.router.resources()
        for route in resource
        if resource.canonical.startswith(("/api/", "/healthz", "/readyz", "/metrics"))  # the others are pages
    }
    found = document()["paths"]
    described = {(method, path) for path, methods in found.items() for method in methods}
    assert described == {(method, path) for method, path in served if method != "head"}
    assert len(described) == len(ENDPOINTS), "one entry each"
    names = Counter(methods[method]["operationId"] for methods in found.values() for method in methods)
    assert max(names.values()) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_a_path_and_its_parameters_belong_together(endpoint: Any) -> None:
    asked = {each.name for each in endpoint.parameters if each.place == "path"}
    assert asked == set(re.findall(r"{(\w+)}", endpoint.path))
    assert bool(endpoint.answers) != bool(endpoint.media), "JSON, or something else"


def test_it_is_an_openapi_document() -> None:
    found = msgspec.json.decode(msgspec.json.encode(document()))
    assert found["openapi"] == "3.1.0"
    references = set(re.findall(r'"#/components/schemas/(\w+)"', msgspec.json.encode(found).decode()))
    assert references == set(found["components"]["schemas"]), "every schema is used, and every one is there"
    for schema in found["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert "None" not in schema["description"]
        assert "  " not in schema["description"]
    sent = found["components"]["schemas"]["SteerRamp"]
    assert (sent["additionalProperties"], sent["required"]) == (False, ["do"])
    assert found["paths"]["/healthz"]["get"]["security"] == []


async def test_it_is_served(console: Console) -> None:
    assert await console.ask("GET", "/api/v1/openapi.json") == (200, document())


#: What each of them takes that sends something.
GOOD = {
    "/api/v1/routes/{name}": {"share": "25%", "why": "because"},
    "/api/v1/routes/{name}/rollback": {"why": "enough"},
    "/api/v1/routes/{name}/ramp": {"do": "pause"},
}


def _hold(url: str, known: dict[str, str], good: dict[str, Any]) -> dict[str, Counter[int]]:
    """Ask everything, and count the statuses."""
    operations = (result.ok() for result in schemathesis.openapi.from_dict(exact()).get_all_operations())
    return {
        f"{operation.method} {operation.path}": _asked(operation, url, known, good)
        for operation in operations
        if operation.path not in STREAMS
    }


def _asked(operation: Any, url: str, known: dict[str, str], good: dict[str, Any]) -> Counter[int]:
    """Ask one thing as it is meant, and then in every way that the document allows; of what is known, often by name."""
    places = {"path": operation.path_parameters, "query": operation.query}
    asked = {
        place: {each.name: known[each.name] for each in there if each.name in known}
        for place, there in places.items()
    }
    sent = {"body": good[operation.path], "media_type": "application/json"} if operation.body else {}
    meant = operation.Case(path_parameters=asked["path"], query=asked["query"], **sent)
    assert meant.call_and_validate(base_url=url, checks=CHECKS).status_code == 200, meant
    statuses: Counter[int] = Counter()
    words = st.fixed_dictionaries({name: st.none() | st.just(each) for name, each in known.items()})

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), words=words)
    def ask(case: Any, words: dict[str, str | None]) -> None:
        for name, value in words.items():
            for place in (case.path_parameters, case.query):
                if value is not None and place and name in place:
                    place[name] = value
        answer = case.call_and_validate(base_url=url, checks=CHECKS)
        statuses[answer.status_code] += 1

    ask()
    return statuses


async def test_real_answers_are_as_it_says(console: Console) -> None:
    _, report = await console.ask("GET", "/api/v1/report/read?legacy=shop&extracted=v2")
    _, changed = await console.ask("PATCH", "/api/v1/routes/read", json={"share": "5%"})
    known = {
        "name": "read",
        "id": report["routes"][0]["fingerprints"][0]["id"],
        "share": "25%",
        "legacy": "shop",
        "extracted": "v2",
        "at": changed["changes"][0]["at"],
    }
    good = GOOD | {"/api/v1/compare": {"before": report, "after": report}}
    found = await asyncio.to_thread(_hold, f"http://127.0.0.1:{console.port}", known, good)
    assert len(found) == len(ENDPOINTS) - len(STREAMS)
    assert {200, 400, 404} <= {status for statuses in found.values() for status in statuses}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
async def test_without_the_token_nothing_is_told(tmp_path: Path, endpoint: Any) -> None:
    panel = make_panel(tmp_path)
    panel.token = "a-token"
    async with serving(panel) as running, running.client.request(endpoint.method, endpoint.path) as answer:
        assert answer.status == (200 if endpoint.is_open else 401)
        declared = document()["paths"][endpoint.path][endpoint.method]["responses"]
        assert str(answer.status) in declared
        assert answer.content_type in declared[str(answer.status)]["content"]


async def test_a_stream_is_what_it_says(console: Console) -> None:
    for path in STREAMS:
        async with console.client.get(path, timeout=aiohttp.ClientTimeout(total=10)) as answer:
            content = document()["paths"][path]["get"]["responses"][str(answer.status)]["content"]
            assert answer.content_type in content
