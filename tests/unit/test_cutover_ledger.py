"""The ledger: a chain that shows what was altered, and that a torn line does not break."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from strangler.cutover import CannotWrite, Entry, ledger


def _entry(number: int, route: str = "pay") -> Entry:
    return Entry(
        at=f"2026-01-01T00:00:{number:02}.000Z",
        who="someone@somewhere",
        route=route,
        key="share",
        from_=f"{number}%",
        to=f"{number + 1}%",
        why="",
        file_before=f"file {number}",
        file_after=f"file {number + 1}",
        evidence="",
    )


def _filled(state: Path, count: int = 4) -> Path:
    for number in range(count):
        ledger.append(state, _entry(number, "pay" if number % 2 else "read"))
    return state / ledger.NAME


def test_no_ledger_is_an_empty_history(tmp_path: Path) -> None:
    assert ledger.read(tmp_path) == ledger.History()


def test_entries_come_back_in_order_and_the_chain_holds(tmp_path: Path) -> None:
    _filled(tmp_path)
    history = ledger.read(tmp_path)
    assert [entry.from_ for entry in history.entries] == ["0%", "1%", "2%", "3%"]
    assert history.entries[0].prev == ledger.GENESIS
    assert [entry.prev for entry in history.entries[1:]] == [entry.hash for entry in history.entries[:-1]]
    assert (history.torn, history.broken, history.outside) == ((), (), ())


def test_a_line_has_the_names_of_the_format(tmp_path: Path) -> None:
    line = json.loads(_filled(tmp_path, 1).read_bytes())
    assert list(line) == [
        *(
            "at",
            "who",
            "route",
            "key",
            "from",
            "to",
            "why",
            "file_before",
            "file_after",
            "evidence",
            "prev",
            "hash",
        )
    ]


def test_one_route_can_be_asked_for(tmp_path: Path) -> None:
    _filled(tmp_path)
    assert [entry.from_ for entry in ledger.read(tmp_path, "pay").entries] == ["1%", "3%"]


@pytest.mark.parametrize("field", ["at", "who", "route", "from", "to", "why", "file_before", "evidence"])
def test_an_altered_entry_shows(tmp_path: Path, field: str) -> None:
    path = _filled(tmp_path)
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {field: "forged"}, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n")
    assert any(remark.startswith("ledger.jsonl:2:") for remark in ledger.read(tmp_path).broken)


def test_a_forger_who_seals_again_is_given_away_by_the_next_entry(tmp_path: Path) -> None:
    path = _filled(tmp_path)
    lines = path.read_bytes().splitlines()
    forged = msgspec.structs.replace(msgspec.json.decode(lines[1], type=Entry), who="nobody").sealed()
    lines[1] = msgspec.json.encode(forged)
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert [remark.split(" ")[0] for remark in ledger.read(tmp_path).broken] == ["ledger.jsonl:3:"]


def test_a_removed_entry_and_a_swapped_one_show(tmp_path: Path) -> None:
    path = _filled(tmp_path)
    whole = path.read_bytes().splitlines(keepends=True)
    for lines in (whole[:1] + whole[2:], [whole[1], whole[0], *whole[2:]], whole[1:]):
        path.write_bytes(b"".join(lines))
        assert ledger.read(tmp_path).broken


@pytest.mark.parametrize("kept", [1, 50, -2])
def test_a_torn_last_line_is_reported_and_does_not_break_the_chain(tmp_path: Path, kept: int) -> None:
    path = _filled(tmp_path, 2)
    line = path.read_bytes().splitlines()[-1]
    with path.open("ab") as file:
        file.write(line[:kept])
    history = ledger.read(tmp_path)
    assert len(history.entries) == 2
    assert [remark.split(" ")[0] for remark in history.torn] == ["ledger.jsonl:3:"]
    ledger.append(tmp_path, _entry(2))
    history = ledger.read(tmp_path)
    assert [entry.from_ for entry in history.entries] == ["0%", "1%", "2%"]
    assert len(history.torn) == 1
    assert not history.broken


def test_a_line_torn_before_its_line_break_is_an_entry(tmp_path: Path) -> None:
    path = _filled(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:-1])
    ledger.append(tmp_path, _entry(2))
    history = ledger.read(tmp_path)
    assert len(history.entries) == 3
    assert not history.torn
    assert not history.broken


def test_garbage_is_reported_not_raised(tmp_path: Path) -> None:
    path = _filled(tmp_path, 1)
    path.write_bytes(b"\xff\xfe\n[1]\n" + b"[" * 5000 + b"\n" + path.read_bytes() + b'{"at": 1}\n')
    history = ledger.read(tmp_path)
    assert len(history.entries) == 1
    assert len(history.torn) == 4


def test_a_hand_edit_between_two_entries_is_noted(tmp_path: Path) -> None:
    ledger.append(tmp_path, _entry(0))
    ledger.append(tmp_path, _entry(5))
    history = ledger.read(tmp_path)
    assert [remark.split(" ")[0] for remark in history.outside] == ["ledger.jsonl:2:"]
    assert not history.broken


def test_a_ledger_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ledger.NAME).mkdir()
    with pytest.raises(CannotWrite, match=r"cannot read .*ledger\.jsonl: Is a directory"):
        ledger.read(tmp_path)
    with pytest.raises(CannotWrite, match="cannot write"):
        ledger.append(tmp_path, _entry(0))
