"""What the admin API tells of a fingerprint, and of two reports."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from strangler.console.compare import LARGEST_REPORTS
from tests.support.console import HOSTILE, Console, make_panel, observe, serving


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with serving(make_panel(tmp_path)) as running:
        yield running


async def test_a_fingerprint_comes_with_lines_request_and_rules(console: Console) -> None:
    observe(console.panel.state)
    report = (await console.ask("GET", "/api/v1/report/read"))[1]
    identity = report["routes"][0]["fingerprints"][0]["id"]
    status, found = await console.ask("GET", f"/api/v1/fingerprints/{identity}")
    assert status == 200
    (example,) = found["examples"]
    assert example["lines"] == {
        "legacy": [{"text": "<script>alert('x')</script>\\x1b[2J\\u202e", "path": "", "differs": True}],
        "extracted": [{"text": "{}", "path": "", "differs": True}],
    }
    assert example["legacy_body"] == HOSTILE
    assert found["request"] == {"curl": example["curl"], "note": example["note"]}
    assert example["curl"] == (
        "curl --globoff 'http://127.0.0.1:8080/payments/"
        "<script>alert('\"'\"'x'\"'\"')</script>%1B[2J%E2%80%AE'"
    )
    assert found["rule"]["accept"].startswith("# under the route read\ncompare: {accept: [{fingerprint: ")
    assert found["rule"]["ignore"] is None  # that path was made up, and no rule can say it


async def test_a_port_that_the_system_chose_is_the_one_to_ask(console: Console) -> None:
    observe(console.panel.state)
    file = console.panel.routes_file
    file.write_text(f"listen: 127.0.0.1:0\n{file.read_text()}")
    identity = (await console.ask("GET", "/api/v1/report/read"))[1]["routes"][0]["fingerprints"][0]["id"]
    for facts, port in ((None, 0), ('{"listen": "127.0.0.1:4711"}', 4711), ("[]", 0), ('{"listen": "x"}', 0)):
        if facts is not None:
            (console.panel.state / "server.json").write_text(facts)
        found = (await console.ask("GET", f"/api/v1/fingerprints/{identity}"))[1]
        assert f"'http://127.0.0.1:{port}/payments/" in found["request"]["curl"]


# --- two reports -----------------------------------------------------------------------------------------


async def reports(console: Console) -> tuple[Any, Any]:
    """A report without a mismatch among thirty pairs, and one of nothing else."""
    observe(console.panel.state)
    before = (await console.ask("GET", "/api/v1/report"))[1]
    after = copy.deepcopy(before)
    route = after["routes"][0]
    before["routes"][0]["fingerprints"] = []
    before["routes"][0]["outcomes"] |= {"match": 30, "mismatch": 0}
    route["outcomes"]["mismatch"] = route["fingerprints"][0]["count"] = 30
    return before, after


async def test_two_reports_are_compared_as_the_command_does(console: Console, tmp_path: Path) -> None:
    before, after = await reports(console)
    status, found = await console.ask("POST", "/api/v1/compare", json={"before": before, "after": after})
    assert status == 200
    assert (found["got_worse"], found["comparable"]) == (True, True)
    assert [(each["route"], each["after"]) for each in found["new"]] == [("read", {"count": 30, "pairs": 30})]
    assert [each["direction"] for each in found["routes"]] == ["worse", "same"]
    status, found = await console.ask("POST", "/api/v1/compare", json={"before": after, "after": before})
    assert (found["got_worse"], len(found["fixed"])) == (False, 1)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "the body is not JSON: Input data was truncated"),
        ("[]", 'the body must be {"before": REPORT, "after": REPORT}: Expected `object`, got `array`'),
        ('{"before": {}}', "missing required field `after`"),
        ('{"before": {}, "after": {}, "x": 1}', "unknown field `x`"),
        (
            '{"before": 1, "after": {}}',
            "before: not a report: it should have the schema 'strangler.report/1'",
        ),
        ('{"before": {"schema": "strangler.report/1"}, "after": {}}', "before: not a report: Object missing"),
        (
            '{"before": REPORT, "after": {"schema": "strangler.report/9"}}',
            "after: a report of the format strangler",
        ),
        ('{"before": REPORT, "after": ' + "[" * 5000, "the body is not JSON"),
        ('{"before": REPORT, "after": {"schema": "\\ud800"}}', "the body is not JSON"),
    ],
)
async def test_what_is_no_report_is_a_problem_in_one_line(console: Console, body: str, says: str) -> None:
    report = (await console.ask("GET", "/api/v1/report"))[1]
    data = body.replace("REPORT", json.dumps(report)) if "required" not in says else body
    status, problem = await console.ask("POST", "/api/v1/compare", data=data)
    assert status == 400
    assert says in problem["detail"]
    assert "\n" not in problem["detail"]


async def test_reports_may_be_larger_than_other_bodies_but_not_endless(console: Console) -> None:
    report = (await console.ask("GET", "/api/v1/report"))[1]
    body = json.dumps({"before": report, "after": report})
    large = body.encode().ljust(LARGEST_REPORTS)
    status, found = await console.ask("POST", "/api/v1/compare", data=io.BytesIO(large))
    assert (status, found["got_worse"]) == (200, False)
    assert (await console.ask("POST", "/api/v1/compare", data=io.BytesIO(large + b" ")))[0] == 413
    assert (await console.ask("PATCH", "/api/v1/routes/read", data=io.BytesIO(large)))[0] == 413


async def test_a_page_of_another_site_cannot_have_reports_compared(console: Console) -> None:
    headers = {"Origin": "http://evil.example"}
    assert (await console.ask("POST", "/api/v1/compare", data="{}", headers=headers))[0] == 403
