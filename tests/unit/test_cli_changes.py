"""`share`, `shadow`, `rollback` and `history`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strangler.cutover import ledger
from tests.support.cli import TEXT, Cli


def test_share_shadow_rollback_and_their_history(cli: Cli, folder: Path) -> None:
    assert cli("share", "read", "50%", "--why", "looks good").out.startswith("read: share 25% -> 50%\n")
    assert cli("shadow", "read", "5%").out.startswith("read: shadow 100% -> 5%\n")
    assert cli("rollback", "read").out.startswith("read: share 50% -> 0%\n")
    assert cli("rollback", "read") == (0, "read: share is 0% already\n", "")
    expected = TEXT.replace("share: 25%     #", "share: 0%     #").replace(
        "shadow: 100%\n", "shadow: 5%\n", 1
    )
    assert (folder / "routes.yaml").read_text() == expected
    ran = cli("history", "--verify")
    assert ran.code == 0
    assert [line.strip().split("  ")[3] for line in ran.out.splitlines()[:-1]] == [
        "share 25% -> 50%",
        "shadow 100% -> 5%",
        "share 50% -> 0%",
    ]
    assert "looks good" in ran.out
    assert "the chain holds: 3 entries, the last is " in ran.out
    entries = json.loads(cli("history", "--json", "--route", "read").out)["entries"]
    assert [entry["from"] for entry in entries] == ["25%", "100%", "50%"]
    assert {entry["evidence"] for entry in entries} == {"inconclusive: no exchange has been compared yet"}
    assert all("@" in entry["who"] for entry in entries)
    assert cli("history", "--route", "pay").out == "no changes\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("share", "raed", "5%"), "no route is named 'raed'; did you mean read?"),
        (("share", "read", "5"), "'5': the percent sign is missing: write 5%"),
        (("share", "read", "101%"), "'101%': more than 100%"),
        (("shadow", "read", "lots"), "'lots': write a percentage"),
        (("rollback", "\x1b[2J"), "no route is named"),
        (("share", "read", "5%", "--why", "a\nb"), "the reason must be one line"),
    ],
)
def test_a_wrong_change_is_one_line(cli: Cli, folder: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert ran.err.strip().isprintable()
    assert (folder / "routes.yaml").read_text() == TEXT


def test_a_ledger_that_was_altered_is_a_no(cli: Cli, folder: Path) -> None:
    cli("rollback", "read", "--why", "first")
    path = folder / ".strangler" / ledger.NAME
    path.write_text(path.read_text().replace("first", "forged"))
    ran = cli("history", "--verify")
    assert ran.code == 1
    assert "altered" in ran.err
    assert json.loads(cli("history", "--verify", "--json").out)["holds"] is False
    assert cli("history").code == 0


def test_a_forged_ledger_cannot_write_to_the_terminal(cli: Cli, folder: Path) -> None:
    cli("rollback", "read", "--why", "first")
    path = folder / ".strangler" / ledger.NAME
    path.write_text(path.read_text().replace("first", "\\u001b[2J"))
    assert "\x1b" not in cli("history").out
