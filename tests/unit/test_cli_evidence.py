"""`status`, `report` and `compare`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from strangler.cutover import read_table
from strangler.evidence import Outcome, Releases
from tests.support.cli import TEXT, Cli, observe
from tests.support.console import observe_release


def test_status_without_a_server(cli: Cli, folder: Path) -> None:
    observe(folder, "mismatch", 2)
    body = json.loads(cli("status", "--json").out)
    assert body["server"] == {"running": False}
    assert body["table"] == read_table(folder / "routes.yaml")[0].digest
    read, pay, stock = body["routes"]
    assert (read["route"], read["stage"], read["pairs"], read["mismatches"]) == ("read", "cutover", 2, 2)
    assert (pay["stage"], stock["stage"], stock["shadow"]) == ("extracted", "shadow", 5.0)
    text = cli("status").out
    assert text.startswith("not running\n")
    assert re.search(r"^stock .* inconclusive\s*$", text, re.M)
    assert "\nread: " in text


def test_status_fits_a_terminal_of_80_columns(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("status").out.splitlines()
    assert max(len(line.rstrip()) for line in lines[1:6]) <= 80
    assert lines[1].split()[-3:] == ["pairs", "differ", "verdict"]
    assert [line.split()[-1] for line in lines[2:5]] == ["inconclusive"] * 3
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("columns", ["20", "60", "75"])
def test_tables_lose_nothing_on_a_narrower_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    report = cli("report").out.splitlines()
    head = next(at for at, line in enumerate(report) if "verdict" in line)
    assert report[head].split() == [
        "route",
        "stage",
        "share",
        "verdict",
        "matching",
        "compared",
        "differences",
    ]
    assert [line.split()[0] for line in report[head + 2 : head + 5]] == ["read", "pay", "stock"]
    lines = cli("status").out.splitlines()
    assert lines[1].split() == [
        *("route", "stage", "share", "shadow", "legacy", "extracted", "pairs", "differ", "verdict")
    ]
    assert [line.split()[0] for line in lines[2:5]] == ["read", "pay", "stock"]
    assert "…" not in "".join(lines)


def test_a_server_that_was_killed_does_not_count(cli: Cli, folder: Path) -> None:
    (folder / ".strangler").mkdir()
    for facts in ('{"pid": 999999999, "listen": "", "admin": ""}', "{}", "[", '{"pid": "x"}', "[1]"):
        (folder / ".strangler" / "server.json").write_text(facts)
        assert json.loads(cli("status", "--json").out)["server"] == {"running": False}


def test_a_report_without_evidence_says_so(cli: Cli) -> None:
    ran = cli("report", "--json")
    assert ran.code == 0
    assert "no evidence in .strangler yet" in ran.err
    body = json.loads(ran.out)
    assert body["schema"] == "strangler.report/1"
    assert {route["verdict"] for route in body["routes"]} == {"inconclusive"}
    assert cli("report", "--gate").code == 3


def test_a_report_of_a_table_without_routes(cli: Cli, folder: Path) -> None:
    (folder / "routes.yaml").write_text(TEXT[: TEXT.index("routes:")])
    assert json.loads(cli("report", "--json").out)["routes"] == []
    assert cli("report", "--gate").code == 3


def test_a_report_on_one_route_in_each_format(cli: Cli, folder: Path) -> None:
    observe(folder, "mismatch", 3)
    body = json.loads(cli("report", "read", "--format", "json").out)
    assert [route["route"] for route in body["routes"]] == ["read"]
    assert body["routes"][0]["fingerprints"][0]["path"] == "$.total"
    text = cli("report", "read").out
    assert "$.total" in text
    assert "\x1b" not in text
    assert cli("report", "raed").err == "strangler: no route is named 'raed'; did you mean read?\n"
    assert cli("report", "--format", "htm").code == 2
    assert cli("report", "read", "--format", "html").out.startswith("<!doctype html>")
    assert "` $.total `" in cli("report", "read", "--format", "markdown").out
    ran = cli("report", "--format", "junit", "--out", "report.xml", "--gate")
    assert (ran.out, ran.code) == ("", 1)
    assert ElementTree.parse(folder / "report.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize(("outcomes", "code"), [((), 3), (("match",) * 3, 3), (("mismatch",) * 40, 1)])
def test_the_gate_is_the_exit_code(cli: Cli, folder: Path, outcomes: tuple[Outcome, ...], code: int) -> None:
    for outcome in dict.fromkeys(outcomes):
        observe(folder, outcome, outcomes.count(outcome))
    assert cli("report", "--gate").code == code
    assert cli("report", "read", "--gate", "--json").code == code
    assert cli("report", "read").code == 0


def test_a_proven_route_passes_the_gate(cli: Cli, folder: Path) -> None:
    observe(folder, "match", 5500)
    assert cli("report", "read", "--gate").code == 0
    assert cli("report", "--gate").code == 3  # the other routes have shown nothing


def test_a_report_is_written_whole(cli: Cli, folder: Path) -> None:
    observe(folder)
    for name, arguments in (("r.json", ("--format", "json")), ("r.txt", ())):
        ran = cli("report", "--out", name, *arguments)
        assert (ran.code, ran.out) == (0, "")
        assert (folder / name).read_text().endswith("\n")
        assert (folder / name).stat().st_mode & 0o444
    assert json.loads((folder / "r.json").read_text())["routes"]
    assert not list(folder.glob(".r*"))
    ran = cli("report", "--out", "gone/r.json")
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_a_report_on_releases_of_the_past(cli: Cli, folder: Path) -> None:
    state = folder / ".strangler"
    observe_release(state, Releases("shop,7", "v1"), "mismatch", 3)
    observe_release(state, Releases("shop,7", "v2"), count=5)
    observe_release(state, Releases("", "v2"), count=1)
    observe_release(state, Releases("shop,7", "v2"), count=1)
    for text, compared, mismatches in (("shop,7,v1", 3, 3), ("shop,7,v2", 6, 0), (",v2", 1, 0)):
        [route] = json.loads(cli("report", "read", "--releases", text, "--json").out)["routes"]
        assert (route["coverage"]["compared"], route["outcomes"]["mismatch"]) == (compared, mismatches)
        assert ",".join(route["releases"].values()) == text
    assert cli("report", "read", "--releases", "shop,7,v1", "--gate").code == 1
    ran = cli("report", "read", "--releases", "shop\x1b,v3")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "strangler: read: no evidence of legacy shop\\x1b, extracted v3; there is evidence of"
        " legacy shop,7, extracted v2; legacy unknown, extracted v2; legacy shop,7, extracted v1\n"
    )
    for arguments, says in (
        (("--releases", "a,b"), "--releases is of one route: name it before"),
        (("read", "--releases", "v1"), "--releases takes two, such as shop-7,v1"),
        (("raed", "--releases", "a,b"), "did you mean read?"),
        (("stock", "--releases", "a,b"), "stock: no evidence of legacy a, extracted b; there is none at all"),
    ):
        ran = cli("report", *arguments)
        assert (ran.code, says in ran.err) == (2, True), ran


# --- compare ---------------------------------------------------------------------------------------------


def _reports(
    cli: Cli, folder: Path, first: tuple[Outcome, int], second: tuple[Outcome, int]
) -> tuple[str, str]:
    for name, (outcome, count) in (("before.json", first), ("after.json", second)):
        observe(folder, outcome, count)
        cli("report", "read", "--format", "json", "--out", name)
    return "before.json", "after.json"


def test_a_new_difference_is_worse(cli: Cli, folder: Path) -> None:
    before, after = _reports(cli, folder, ("match", 40), ("mismatch", 40))
    ran = cli("compare", before, after)
    assert ran.code == 1
    assert "$.total" in ran.out
    body = json.loads(cli("compare", before, after, "--json").out)
    assert (body["got_worse"], body["comparable"]) == (True, True)
    assert body["new"][0]["fingerprint"]["path"] == "$.total"
    assert body["new"][0]["after"] == {"count": 40, "pairs": 80}
    assert cli("compare", before, before).code == 0
    assert cli("compare", after, before).code == 0


def test_a_first_look_is_not_worse_but_not_comparable(cli: Cli, folder: Path) -> None:
    cli("report", "read", "--format", "json", "--out", "before.json")
    observe(folder, "mismatch", 3)
    cli("report", "read", "--format", "json", "--out", "after.json")
    assert cli("compare", "before.json", "after.json").code == 3
    assert json.loads(cli("compare", "before.json", "after.json", "--json").out)["got_worse"] is False


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": "x"}', b"\xff", b"[" * 5000])
def test_what_is_no_report_is_one_line(cli: Cli, folder: Path, data: bytes) -> None:
    (folder / "wrong.json").write_bytes(data)
    ran = cli("compare", "wrong.json", "wrong.json")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "wrong.json" in ran.err
    assert cli("compare", "gone.json", "wrong.json").code == 2
