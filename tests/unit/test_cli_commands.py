"""All commands: help, faults, `check` and `explain`, run in the test's own process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from strangler import __version__
from strangler.cli import commands
from strangler.cutover import read_releases, read_table
from tests.support.cli import TEXT, Cli, Ran


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version") == (0, f"strangler, version {__version__}\n", "")
    assert cli("-h") == cli("--help")
    assert cli("-h").code == 0
    assert cli().code == 2


@pytest.mark.parametrize("name", [name for name in commands.commands if name != "ramp"])
def test_every_command_teaches(cli: Cli, name: str) -> None:
    ran = cli(name, "-h")
    assert ran.code == 0
    assert f"strangler {name} " in ran.out.split("Example", 1)[1]
    _has_places(ran)


@pytest.mark.parametrize("name", ["show", "pause", "resume", "skip"])
def test_every_word_for_a_ramp_teaches(cli: Cli, name: str) -> None:
    assert f"strangler ramp {name} " in cli("ramp", "-h").out + "strangler ramp skip "
    ran = cli("ramp", name, "-h")
    assert ran.code == 0
    _has_places(ran)


def _has_places(ran: Ran) -> None:
    assert "--routes FILE" in ran.out
    assert "--state DIR" in ran.out
    assert max(map(cell_len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["check", "explain", "status", "history", "report", "compare", "diagram"])
def test_every_reading_command_has_json(name: str) -> None:
    assert "--json" in {option for each in commands.commands[name].params for option in each.opts}


def test_an_unknown_command_or_option_is_exit_2(cli: Cli) -> None:
    assert cli("bogus").code == 2
    assert cli("check", "--bogus").code == 2
    assert cli("serve", "--workers", "0").code == 2


READING = [
    ("check",),
    ("explain", "GET", "/"),
    ("status",),
    ("report",),
    ("diagram",),
    ("share", "read", "1%"),
    ("rollback", "read"),
    ("release", "read", "v2"),
]


@pytest.mark.parametrize("command", READING)
def test_faults_are_lines_on_standard_error(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    (folder / "routes.yaml").write_text(
        TEXT.replace("25%", "250%").replace("legacy: monolith", "legacy: monolit")
    )
    ran = cli(*command)
    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["routes.yaml:7:9:", "routes.yaml:13:12:"]
    assert "did you mean 'monolith'?" in lines[0]


@pytest.mark.parametrize("command", READING)
def test_no_file_is_one_line(cli: Cli, command: tuple[str, ...]) -> None:
    ran = cli(*command, "--routes", "gone.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "gone.yaml:1:1: error: cannot read the file: No such file or directory\n"


# --- check -----------------------------------------------------------------------------------------------


def test_check(cli: Cli, folder: Path) -> None:
    assert cli("check") == (0, "routes.yaml: 3 routes, 2 upstreams, no faults\n", "")
    body = json.loads(cli("check", "--json").out)
    assert body["faults"] == []
    assert body["routes"] == ["read", "pay", "stock"]
    assert body["table"] == read_table(folder / "routes.yaml")[0].digest


RULES = """    compare:
      ignore: [$.meta, $.meta.at, "header:date", $]
      only: ["header:x-total", $.total]
      unordered: [$.tags]
      tolerance: {$.total: 0.01, $.meta.rate: 1%, "header:x-other": 1}
      keyed: {$..items: sku}
      accept: [{fingerprint: 00ff00ff00ff00ff, reason: rounding, until: 2020-01-01}]
"""
WARNINGS = [
    (16, "ignore $.meta can never match: what is at it is ignored by $"),
    (16, "ignore $.meta.at can never match: what is at it is ignored by $.meta"),
    (16, "ignore header:date can never match: date is never compared (docs/report.md)"),
    (16, "ignore $ hides everything: no body of this route is compared"),
    (18, "unordered $.tags can never match: what is at it is ignored by $"),
    (19, "tolerance $.total can never match: what is at it is ignored by $"),
    (19, "tolerance $.meta.rate can never match: what is at it is ignored by $.meta"),
    (19, "tolerance header:x-other can never match: the header is not under `only`"),
    (20, "keyed $..items can never match: what is at it is ignored by $"),
    (21, "00ff00ff00ff00ff was accepted until 2020-01-01: it counts as a mismatch again"),
]


def test_check_warns_of_rules_that_are_not_what_was_meant(cli: Cli, folder: Path) -> None:
    text = TEXT.replace("    shadow: 100%\n", "    shadow: 100%\n" + RULES)
    (folder / "routes.yaml").write_text(text)
    ran = cli("check")
    assert (ran.code, ran.out) == (0, "routes.yaml: 3 routes, 2 upstreams, no faults, 10 warnings\n")
    said = [
        re.fullmatch(r"routes.yaml:(\d+):\d+: warning: route read: (.*)", line)
        for line in ran.err.splitlines()
    ]
    assert [(int(found[1]), found[2]) for found in said if found] == WARNINGS
    assert len(json.loads(cli("check", "--json").out)["warnings"]) == 10
    (folder / "routes.yaml").write_text(text.replace(', "header:date", $]', "]"))
    assert [line.split("route read: ")[1] for line in cli("check").err.splitlines()] == [
        "ignore $.meta can never match: it is not under `only`",
        "ignore $.meta.at can never match: what is at it is ignored by $.meta",
        "unordered $.tags can never match: it is not under `only`",
        "tolerance $.meta.rate can never match: what is at it is ignored by $.meta",
        "tolerance header:x-other can never match: the header is not under `only`",
        "00ff00ff00ff00ff was accepted until 2020-01-01: it counts as a mismatch again",
    ]


# --- release ---------------------------------------------------------------------------------------------


def test_release_is_kept_and_stands_in_the_ledger(cli: Cli, folder: Path) -> None:
    assert cli("release", "payments", "v2", "--why", "rounding mended").out == (
        "upstream:payments: release unknown -> v2; evidence begins anew\n"
    )
    assert cli("release", "payments", "v2").out == "payments: the release is v2 already\n"
    assert cli("release", "read", "v3").code == 0
    assert read_releases(folder / ".strangler") == {"upstream:payments": "v2", "route:read": "v3"}
    assert "upstream:payments  release v2" in cli("history").out
    assert cli("history", "--verify").code == 0


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("nobody", "v2", "there is no route and no upstream 'nobody'"),
        ("read", "", "a release is a word"),
        ("read", "v\n2", "a release is a word"),
        ("read", "v" * 101, "a release is a word"),
    ],
)
def test_a_release_of_nobody_or_of_nothing_changes_nothing(
    cli: Cli, folder: Path, name: str, version: str, says: str
) -> None:
    ran = cli("release", name, version)
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert read_releases(folder / ".strangler") == {}


def test_a_name_of_both_must_say_which(cli: Cli, folder: Path) -> None:
    (folder / "routes.yaml").write_text(TEXT.replace("name: read", "name: payments"))
    assert "write route:payments or upstream:payments" in cli("release", "payments", "v2").err
    assert cli("release", "upstream:payments", "v2").code == 0


def test_a_damaged_file_of_releases_is_one_line(cli: Cli, folder: Path) -> None:
    (folder / ".strangler").mkdir(exist_ok=True)
    (folder / ".strangler/releases.json").write_text("{half")
    ran = cli("release", "payments", "v2")
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_check_tells_faults_to_programs(cli: Cli, folder: Path) -> None:
    (folder / "routes.yaml").write_text(TEXT.replace("25%", "250%"))
    ran = cli("check", "--json")
    assert (ran.code, ran.err) == (2, "")
    (fault,) = json.loads(ran.out)["faults"]
    assert (fault["line"], fault["column"]) == (13, 12)
    assert "more than 100%" in fault["message"]


def _explained(cli: Cli, *arguments: str) -> dict[str, Any]:
    ran = cli("explain", *arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    body: dict[str, Any] = json.loads(ran.out)
    return body


def test_explain_tells_route_bucket_side_and_target(cli: Cli) -> None:
    moved = _explained(cli, "GET", "/payments/42?full=1", "-H", "X-User-Id: 12")
    stayed = _explained(cli, "GET", "/payments/42?full=1", "-H", "x-user-id:7")
    assert (stayed["side"], stayed["bucket"], stayed["target"]) == ("legacy", 50636, "/payments/42?full=1")
    assert (moved["side"], moved["target"]) == ("extracted", "/v2/payments/42?full=1")
    assert moved["bucket"] < 25_000
    assert moved["upstream"] == {"name": "payments", "address": "127.0.0.1:8002"}
    assert (moved["identity"], moved["source"], moved["shadow"]) == ("12", "header:x-user-id", True)


def test_explain_says_that_a_minted_identity_decides(cli: Cli) -> None:
    body = _explained(cli, "GET", "/payments/42")
    assert (body["mints"], body["undecided"], body["identity"], body["bucket"]) == (True, True, None, None)
    text = cli("explain", "GET", "/payments/42").out
    assert "either, by the identity that is minted" in text
    assert "cookie strangler_id" in text
    sampled = _explained(cli, "GET", "/stock/1")
    assert (sampled["mints"], sampled["undecided"], sampled["side"]) == (True, False, "legacy")
    assert "depends on the identity" in sampled["shadow_why"]


@pytest.mark.parametrize(
    ("arguments", "route", "side", "says"),
    [
        (("POST", "/payments"), "pay", "extracted", "not a safe method"),
        (("GET", "/nowhere"), None, "legacy", "no route"),
        (("GET", "/payments/1", "-H", "cookie: a=b; session=y"), "read", "legacy", "every request is copied"),
        (
            *(("GET", "/payments/1", "-H", "Strangler-Side: extracted", "--client", "10.1.2.3"), "read"),
            *("extracted", "copied to the legacy side"),
        ),
        (
            ("GET", "/payments/1", "-H", "Strangler-Side: extracted", "-H", "x-user-id: 7"),
            "read",
            "legacy",
            "copied",
        ),
    ],
)
def test_explain_decides_as_the_proxy(
    cli: Cli, arguments: tuple[str, ...], route: str | None, side: str, says: str
) -> None:
    body = _explained(cli, *arguments)
    assert (body["route"], body["side"]) == (route, side)
    assert says in body["shadow_why"]


def test_explain_says_whether_a_write_would_be_copied(cli: Cli, folder: Path) -> None:
    never = _explained(cli, "POST", "/payments")
    assert (never["shadow"], never["shadow_why"]) == (
        False,
        "POST is not a safe method and shadow_writes is never, so nothing is copied",
    )
    disguised = _explained(cli, "GET", "/payments/1", "-H", "X-HTTP-Method-Override: DELETE")
    assert disguised["shadow"] is False
    assert disguised["shadow_why"].startswith("x-http-method-override may stand for another method than GET")
    text = TEXT.replace("POST /payments, ", "POST /payments, shadow_writes: marked, ")
    (folder / "routes.yaml").write_text(text)
    marked = _explained(cli, "POST", "/payments")
    assert (marked["shadow"], marked["shadow_writes"]) == (True, "marked")
    assert marked["shadow_why"].endswith("; the copy of a write is marked (Strangler-Shadow: 1)")


@pytest.mark.parametrize(
    "arguments",
    [
        *(("G T", "/"), ("GET", "payments"), ("GET", "/a b"), ("GET", "/ü"), ("GET", "/", "-H", "nothing")),
        *(("GET", "/", "-H", "a b: c"), ("GET", "/", "--client", "localhost"), ("GET", "/\x1b")),
    ],
)
def test_explain_refuses_what_is_no_request(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli("explain", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "\x1b" not in ran.err
