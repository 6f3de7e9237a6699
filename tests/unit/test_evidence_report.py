"""The report's shape, its text and the changes between two, against golden files in tests/cases/report/.

After a change that is meant, write them anew: `python -m tests.unit.test_evidence_report`.
"""

import io
import json
from collections import Counter
from dataclasses import replace
from datetime import date
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from strangler.compare import Difference, Drift, FieldTally, fingerprint
from strangler.evidence import (
    Acceptance,
    Evidence,
    Kept,
    PairEvidence,
    Releases,
    Report,
    RouteEvidence,
    RouteFacts,
    Sighting,
    Standing,
    Tally,
    build,
    compare_reports,
    html,
    junit,
    markdown,
    render_changes,
    render_report,
)
from strangler.evidence.report import fingerprint as find_fingerprint
from strangler.evidence.report import timestamp

CASES = Path(__file__).parent.parent / "cases/report"
NOW = 1_700_000_100.0


def sighting(difference: Difference, count: int, target: str = "/payments/7") -> Sighting:
    kept = Kept(
        NOW - 60, "GET", target, difference.legacy_value, difference.extracted_value, '{"a": 1}', "{}"
    )
    identity = fingerprint("payment-read", "GET", difference)
    bare = Difference(
        difference.where, difference.path, difference.kind, difference.legacy, difference.extracted
    )
    return Sighting(identity, "GET", bare, count, NOW - 60, NOW - 1, (kept,))


TYPE = Difference("body", "$.items[*].price", "type", "number", "string", "1250", '"1250"')
ORDER = Difference("body", "$.items", "order", "array", "array", "[" + '"long", ' * 24 + "…", '["other"]')
VALUE = Difference("body", "$['unit price']", "value", "number", "number", "10.01", "10.00")
STATUS = Difference("status", "", "status", "200", "500", "200", "500")
EXTRA = Difference("header", "x-total", "header", "absent", "present", "", "14")


def tally(match: int, mismatch: int, statuses: dict[tuple[int, int], int], **skipped: int) -> Tally:
    found = Tally(Counter(match=match, mismatch=mismatch), Counter(skipped), Counter(statuses))
    for step in range(match + mismatch):
        found.legacy_ms.add(1 + step % 10 / 10)
        found.extracted_ms.add(2 + step % 20 / 10)
    found.since, found.until = NOW - 90, NOW - 1
    return found


AT = Difference(
    "body", "$.at", "value", "string", "string", '"10:00:01"', '"10:00:02"', Drift("timestamp", 1)
)
CITY = Difference("body", "$.city", "value", "string", "string", '"Paris"', '"paris"')
LAG = Difference("body", "$.left", "value", "number", "number", "3", "4", Drift("number", 1))


def stock_evidence() -> PairEvidence:
    """Noise, an accepted difference, one that has gone, and what stands behind it."""
    counted = tally(4900, 100, {(200, 200): 5000})
    counted.outcomes["transient"] = 2
    for step in range(5000):
        (counted.slower_ms if step % 3 else counted.faster_ms).add(0.5 + step % 7)
    for number in range(1, 40):
        counted.requests.add(number)
        counted.callers.add(number % 12 + 1)
    counted.settled_ms.add(1020.0)
    counted.probes = 250
    counted.rules["ignore $.etag"] = 4100
    seen = [sighting(AT, 90), sighting(CITY, 10), replace(sighting(LAG, 0), gone=2)]
    ids = [each.id for each in seen]
    return PairEvidence(
        Releases("shop-1", ""),
        counted,
        tuple(seen),
        combinations={f"{ids[0]}:timestamp:1": 88, f"{ids[0]}:timestamp:1 {ids[1]}": 2, ids[1]: 10},
        fields={ids[0]: FieldTally(both=220, itself=4, sides=6, type="timestamp", size=1)},
    )


STANDING = Standing(
    accepted=[
        Acceptance(fingerprint("payment-read", "GET", CITY), "the old one shouts", date(2030, 1, 1)),
        Acceptance("00ff00ff00ff00ff", "until the move", date(2023, 11, 13)),
    ],
    rules=["ignore $.etag", "unordered $.tags"],
)


FACTS = [
    RouteFacts("payment-read", "shadow", 0.0, 100.0, "payments"),
    RouteFacts("stock-read", "cutover", 12.5, 5.0, "inventory", STANDING),
    RouteFacts("order-place", "legacy", 0.0, 0.0, "payments"),
]


def evidence(release: str) -> Evidence:
    old = PairEvidence(Releases("shop-1", "v0"), tally(5, 0, {(200, 200): 5}))
    if release == "v1":
        seen = [
            sighting(EXTRA, 30),
            sighting(VALUE, 4),
            sighting(ORDER, 20),
            sighting(TYPE, 30),
            sighting(STATUS, 3),
        ]
        counted = tally(1140, 30, {(200, 200): 1167, (200, 500): 3}, queue_full=12, body_too_large=8)
    else:
        seen = [
            sighting(VALUE, 5),
            sighting(Difference("body", "$.tax", "added", "absent", "number", "", "3"), 2),
        ]
        counted = tally(2995, 5, {(200, 200): 3000}, pending=3)
    now = PairEvidence(Releases("shop-1", release), counted, tuple(seen))
    stock = stock_evidence()
    return {
        "payment-read": RouteEvidence("payment-read", (old, now)),
        "stock-read": RouteEvidence("stock-read", (stock,)),
        "left out": RouteEvidence("left out", (old,)),
    }


def report(release: str = "v1") -> Any:
    return json.loads(json.dumps(build(FACTS, evidence(release), NOW)))


def text_of_report(width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    render_report(report(), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def text_of_changes(width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    render_changes(compare_reports(report("v1"), report("v2")), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def golden() -> dict[str, str]:
    return {
        "report.json": json.dumps(report(), indent=2, ensure_ascii=False) + "\n",
        "report-100.txt": text_of_report(100),
        "report-80.txt": text_of_report(80),
        "report.md": markdown(report()),
        "report.html": html(report()),
        "report.xml": junit(report()),
        "changes-100.txt": text_of_changes(100),
        "fingerprint.json": json.dumps(
            find_fingerprint(evidence("v1"), report()["routes"][0]["fingerprints"][0]["id"]), indent=2
        )
        + "\n",
    }


@pytest.mark.parametrize("name", golden())
def test_golden(name: str) -> None:
    assert golden()[name] == (CASES / name).read_text("utf-8")


def test_the_report_has_the_fixed_shape() -> None:
    msgspec.convert(report(), Report, strict=True)
    assert list(report()) == ["schema", "generated_at", "window", "routes"]
    assert list(report()["routes"][0]) == [
        "route", "stage", "share", "shadow", "extracted", "releases", "verdict", "reasons", "coverage", "outcomes",
        "match_rate", "status", "latency_ms", "fingerprints",
        "distinct", "rules", "noise", "accepted", "traffic", "transient",
    ]  # fmt: skip
    assert list(report()["routes"][0]["fingerprints"][0]) == [
        "id", "where", "path", "kind", "legacy", "extracted", "severity", "count", "first_seen", "last_seen",
        "examples", "outcome", "share", "requests", "callers",
    ]  # fmt: skip


def test_routes_stand_in_the_order_of_the_table_and_none_is_missing() -> None:
    assert [route["route"] for route in report()["routes"]] == [facts.route for facts in FACTS]


def test_a_route_without_evidence_says_so() -> None:
    route = report()["routes"][2]
    assert route["verdict"] == "inconclusive"
    assert route["releases"] == {"legacy": "", "extracted": ""}
    assert route["coverage"] == {"eligible": 0, "compared": 0, "skipped": {}}
    assert route["match_rate"]["estimate"] is None
    assert route["latency_ms"]["legacy"] == {"p50": None, "p90": None, "p99": None}


def test_the_ledger_of_every_route_adds_up() -> None:
    for route in report()["routes"]:
        coverage = route["coverage"]
        assert coverage["eligible"] == coverage["compared"] + sum(coverage["skipped"].values())
        assert coverage["compared"] == sum(route["outcomes"].values())


def test_a_transient_counts_neither_way() -> None:
    counted = tally(1140, 30, {})
    counted.outcomes["transient"] = 10
    built = build(
        FACTS[:1],
        {"payment-read": RouteEvidence("payment-read", (PairEvidence(Releases("a", "b"), counted),))},
        NOW,
    )
    assert built["routes"][0]["match_rate"]["estimate"] == pytest.approx(1140 / 1170, abs=1e-6)
    assert built["routes"][0]["coverage"]["compared"] == 1180


def test_fingerprints_stand_worst_first() -> None:
    found = [(entry["severity"], entry["count"]) for entry in report()["routes"][0]["fingerprints"]]
    assert found == [("breaking", 30), ("breaking", 3), ("value", 20), ("value", 4), ("additive", 30)]


def test_an_unknown_fingerprint() -> None:
    assert find_fingerprint(evidence("v1"), "0" * 16) is None


def test_a_path_is_whole_and_on_one_line_however_narrow_the_console() -> None:
    for width in (40, 80, 100):
        lines = text_of_report(width).splitlines()
        assert any("type  $.items[*].price  30 ×" in line for line in lines)


@pytest.mark.parametrize("width", [80, 100])
def test_text_fits_and_is_plain_when_piped(width: int) -> None:
    for text in (text_of_report(width), text_of_changes(width)):
        assert "\x1b" not in text
        assert max(len(line) for line in text.splitlines()) <= 100


def test_terminal_codes_in_a_report_of_somebody_else_are_not_obeyed() -> None:
    hostile = report()
    hostile["routes"][0]["reasons"] = ["\x1b]0;title\x07 [bold]not markup[/bold]"]
    hostile["routes"][0]["fingerprints"][0]["examples"] = ["GET /\nlegacy: \x1b[2J\nextracted: x"]
    console = Console(file=io.StringIO(), width=100)
    render_report(hostile, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    assert "[bold]not markup[/bold]" in text


HOSTILE = "</td><script>alert(1)</script>&amp; | `x` ]]> [a](http://b) \x00\x1b[2J\u202e\ud800 \n# head"


def hostile_report() -> Any:
    found = report()
    route = found["routes"][0]
    route["route"] = route["extracted"] = HOSTILE
    route["reasons"] = [HOSTILE]
    route["coverage"]["skipped"] = {HOSTILE: 1}
    entry = route["fingerprints"][0]
    one_line = HOSTILE.replace("\n", " ")
    entry |= {"path": HOSTILE, "legacy": HOSTILE, "id": HOSTILE}
    entry["examples"] = [f"GET {one_line}\nlegacy: {one_line}\nextracted: {one_line}"]
    return found


def test_a_hostile_value_stays_text_in_html() -> None:
    page = html(hostile_report())
    page.encode("utf-8")
    tags: Counter[str] = Counter()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags[tag] += 1
            assert not [name for name, value in attrs if name.startswith("on") or name in ("src", "href")]

    Reader(convert_charrefs=True).feed(page)
    assert tags["section"] == 3
    assert not {"script", "img", "link", "a", "iframe"} & tags.keys()
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_a_hostile_value_stays_text_in_markdown() -> None:
    text = markdown(hostile_report())
    text.encode("utf-8")
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert "<script" not in rendered
    assert "<a " not in rendered
    assert rendered.count("<h2>") == 3


def test_a_hostile_value_stays_text_in_junit() -> None:
    root = ElementTree.fromstring(junit(hostile_report()))
    assert [case.tag for case in root[0]] == ["testcase"] * 3
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    assert root[0][0][0].tag == "failure"
    assert "<script>alert(1)</script>" in (root[0][0][0].text or "")


def test_every_format_tells_the_same() -> None:
    found = report()
    documents = [text_of_report(200), markdown(found), html(found), junit(found)]
    for entry in found["routes"][0]["fingerprints"]:
        for document in documents:
            assert f"{entry['count']} ×" in document
            assert entry["kind"] in document
    for reason in found["routes"][0]["reasons"]:
        plain = [unescape(document).replace("\\", "") for document in documents]
        assert all(reason in document for document in plain)


def test_timestamps_are_utc_with_z() -> None:
    assert timestamp(0.0015) == "1970-01-01T00:00:00.001Z"


if __name__ == "__main__":
    for file_name, content in golden().items():
        (CASES / file_name).write_text(content, "utf-8")
