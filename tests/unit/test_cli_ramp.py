"""`strangler ramp`, and what `status` says of ramps and of the whole migration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strangler.cutover import ledger
from tests.support.cli import TEXT, Cli


@pytest.fixture
def ramped(folder: Path) -> Path:
    """The usual folder, with a ramp under the route `read`."""
    path = folder / "routes.yaml"
    path.write_text(
        TEXT.replace("    shadow: 100%\n", "    shadow: 100%\n    ramp: {steps: [5%, 50%, 100%]}\n", 1)
    )
    return path


@pytest.mark.usefixtures("ramped")
def test_a_ramp_says_where_it_stands(cli: Cli) -> None:
    ran = cli("ramp", "show", "read")
    assert ran.code == 3
    assert ran.out.startswith("read: 25%, steps 5% 50% 100%, since ")
    assert "  not yet  nothing has been compared yet" in ran.out
    [found] = json.loads(cli("ramp", "show", "--json").out)
    assert (found["route"], found["share"], found["next"], found["verdict"]) == (
        "read",
        25,
        50,
        "inconclusive",
    )
    assert {check["check"] for check in found["checks"]} >= {"hold", "match", "errors", "p99", "coverage"}
    [route, *_] = json.loads(cli("status", "--json").out)["routes"]
    assert route["ramp"]["waits"].startswith("for 50%: ")
    assert "\nread: ramp: for 50%" in cli("status").out


@pytest.mark.usefixtures("ramped")
def test_pausing_resuming_and_skipping(cli: Cli, folder: Path) -> None:
    assert cli("ramp", "pause", "read", "--why", "release day") == (0, "read: ramp running -> paused\n", "")
    assert "paused by " in cli("ramp", "show").out
    assert cli("ramp", "resume", "read").out == "read: ramp paused -> running\n"
    assert cli("ramp", "skip", "read", "--why", "no traffic").out.startswith("read: share 25% -> 50%\n")
    entry = ledger.read(folder / ".strangler").entries[-1]
    assert entry.why == "skipped the gate: no traffic"
    assert entry.evidence.startswith("inconclusive: ")
    assert cli("ramp", "skip", "read").code == 0
    ran = cli("ramp", "skip", "read")
    assert (ran.code, ran.err) == (1, "read: the ramp is finished, at 100%\n")


@pytest.mark.usefixtures("ramped")
@pytest.mark.parametrize("word", ["show", "pause", "resume", "skip"])
@pytest.mark.parametrize(
    ("route", "says"),
    [("raed", "no route is named 'raed'; did you mean read?"), ("pay", "route pay has no ramp")],
)
def test_routes_without_one(cli: Cli, word: str, route: str, says: str) -> None:
    ran = cli("ramp", word, route)
    assert ran.code == 2
    assert says in ran.err


def test_no_ramp_at_all(cli: Cli) -> None:
    assert cli("ramp", "show") == (2, "", "strangler: no route has a ramp\n")


def test_the_whole_migration(cli: Cli) -> None:
    out = cli("status").out
    assert "no request in the last 24 hours" in out
    assert "1 of 3 routes finished" in out


def test_the_past(cli: Cli) -> None:
    cli("share", "read", "50%")
    ran = cli("history", "--at", "2020-01-01")
    assert ran.code == 2
    assert "the ledger begins at " in ran.err
    assert cli("history", "--at", "soon").err == (
        "strangler: 'soon' is no time: write 2026-11-22T14:05, perhaps with Z or +01:00\n"
    )
    assert "is still to come" in cli("history", "--at", "2999-01-01").err
    at = ledger_time(cli)
    ran = cli("history", "--at", at)
    assert ran.out.splitlines()[0] == f"as it stood at {at}, after entry 1"
    assert "read   cutover    50%" in ran.out
    [found] = json.loads(cli("history", "--at", at, "--json").out)["routes"]
    assert (found["route"], found["share"], found["stage"]) == ("read", "50%", "cutover")


def ledger_time(cli: Cli) -> str:
    return str(json.loads(cli("history", "--json").out)["entries"][-1]["at"])
