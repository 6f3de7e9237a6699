"""The table as the ledger tells it, edits by hand, moves that the file was not told, and rolling back to an entry."""

from __future__ import annotations

import errno
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.cutover import (
    BadValue,
    CannotWrite,
    Entry,
    advice_on,
    change,
    ledger,
    note_by_hand,
    overlaid,
    read_moves,
    read_table,
    roll_back,
    set_order,
)
from strangler.cutover.definition import definition
from strangler.cutover.past import Known, differences, parse_moment, standing_at, table_at
from strangler.cutover.progress import progress
from strangler.cutover.report import report_on
from strangler.evidence import Served, timestamp
from strangler.routes import parse

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEXT = """\
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes:
  - name: pay
    match: GET,HEAD /pay/{id}
    extracted: new
    share: 25%
    shadow: 100%
  - {name: stock, match: {path: /stock, host: shop, query: {v: "1"}}, extracted: new, ramp: {steps: [5%]}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "routes.yaml"
    found.write_text(TEXT)
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def told(state: Path) -> list[tuple[str, str, str, str]]:
    return [(entry.route, entry.key, entry.from_, entry.to) for entry in ledger.read(state).entries]


def test_what_was_never_told_is_entered_once(path: Path, state: Path) -> None:
    note_by_hand(path, state)
    assert told(state) == [
        ("pay", "route", "", "GET,HEAD /pay/{id} -> new"),
        ("pay", "share", "", "25%"),
        ("pay", "shadow", "", "100%"),
        ("stock", "route", "", "/stock host shop with v=1 -> new; ramp (steps 5%)"),
    ]
    assert note_by_hand(path, state) == []
    history = ledger.read(state)
    assert {entry.why for entry in history.entries} == {"first seen"}
    assert (history.broken, history.outside) == ((), ())


def test_edits_by_hand_are_entered(path: Path, state: Path) -> None:
    note_by_hand(path, state)
    path.write_text(TEXT.replace("share: 25%", "share: 50%  # at last").replace("name: stock", "name: shelf"))
    made = note_by_hand(path, state)
    assert told(state)[4:] == [
        ("pay", "share", "25%", "50%"),
        ("shelf", "route", "", "/stock host shop with v=1 -> new; ramp (steps 5%)"),
        ("stock", "route", "/stock host shop with v=1 -> new; ramp (steps 5%)", ""),
    ]
    assert {entry.who for entry in made} == {"by hand: routes.yaml"}
    history = ledger.read(state)
    assert (history.broken, history.outside) == ((), ())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fallback: false", "fallback false"),
        ("rewrite: '/v2/{id}'", "rewrite /v2/{id}"),
        ("ramp: {}", "ramp"),
        ("ramp: {errors: 50%, hold: 1m}", "ramp (hold 60s, errors 50%)"),
        ("ramp: {steps: [1%, 100%], match: none}", "ramp (steps 1% 100%, match none)"),
        ("shadow_writes: marked", "shadow_writes marked"),
        ("headers: {set: {X-Key: hunter2}, remove: [Cookie]}", "headers +X-Key -Cookie"),
        (
            "compare: {ignore: [$.at], tolerance: {$.a: 0.01}, noise: 0%, confirm: none}",
            "compare (ignore $.at, tolerance $.a 0.01, noise 0%, confirm none)",
        ),
        (
            "compare: {accept: [{fingerprint: 00ff00ff00ff00ff, reason: known, until: 2030-01-01}]}",
            "compare (accept (fingerprint 00ff00ff00ff00ff, reason known, until 2030-01-01))",
        ),
    ],
)
def test_every_setting_of_a_route_is_in_the_ledger(path: Path, state: Path, said: str, told: str) -> None:
    """A gate that somebody has opened by hand is part of why a share has risen."""
    note_by_hand(path, state)
    path.write_text(TEXT.replace("    share: 25%", f"    share: 25%\n    {said}"))
    [entry] = note_by_hand(path, state)
    assert (entry.route, entry.key, entry.from_) == ("pay", "route", "GET,HEAD /pay/{id} -> new")
    assert entry.to == f"GET,HEAD /pay/{{id}} -> new; {told}"
    assert note_by_hand(path, state) == []


def test_a_comment_is_no_change(path: Path, state: Path) -> None:
    note_by_hand(path, state)
    path.write_text("# hello\n" + TEXT)
    assert note_by_hand(path, state) == []


def test_a_command_enters_what_was_edited_before_it(path: Path, state: Path) -> None:
    change(path, state, "pay", "share", "30%", "me", "")
    path.write_text(path.read_text().replace("30%", "50%"))
    change(path, state, "pay", "share", "60%", "me", "")
    assert told(state) == [
        ("pay", "share", "25%", "30%"),
        ("pay", "share", "30%", "50%"),
        ("pay", "share", "50%", "60%"),
    ]
    assert ledger.read(state).entries[1].who == "by hand: routes.yaml"
    assert ledger.read(state).outside == ()


def test_ten_thousand_routes_are_one_write(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "routes.yaml"
    lines = [f"  - {{name: r{n}, match: /r{n}, extracted: new, share: 1%}}" for n in range(10_000)]
    path.write_text(TEXT.partition("routes:\n")[0] + "routes:\n" + "\n".join(lines) + "\n")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(ledger.os, "fsync", lambda descriptor: synced.append(fsync(descriptor)))
    assert len(note_by_hand(path, state)) == 20_000
    assert len(synced) <= 2
    assert ledger.read(state).broken == ()


names = st.sampled_from(["a", "b", "c"])
shares = st.integers(0, 100).map(lambda share: f"{share}%")


@given(st.lists(st.dictionaries(names, st.tuples(shares, shares)), min_size=1, max_size=6))
def test_replaying_what_was_noted_is_the_table(tables: list[dict[str, tuple[str, str]]]) -> None:
    entries: list[Entry] = []
    for number, routes in enumerate(tables):
        lines = [
            f"  - {{name: {name}, match: /{name}, extracted: new, share: {share}, shadow: {shadow}}}"
            for name, (share, shadow) in routes.items()
        ]
        text = TEXT.partition("routes:\n")[0] + ("routes:\n" + "\n".join(lines) if lines else "")
        table = parse(text.encode(), file="r", check_rule=lambda *rule: None)
        for each in differences(standing_at(entries), table, all_routes=True):
            at = f"2026-11-24T00:00:{number:02}.000Z"
            entries.append(Entry(at, "", each.route, each.key, each.before, each.after, "", "", "", ""))
        known = standing_at(entries)
        assert differences(known, table, all_routes=True) == []
        assert {name: (told.share or "0%", told.shadow or "0%") for name, told in known.items()} == routes
        assert {name: told.definition for name, told in known.items()} == {
            route.name: definition(route) for route in table.routes
        }
        assert standing_at(entries, f"2026-11-24T00:00:{number:02}.000Z") == known


# -- the past ------------------------------------------------------------------------------------------------


def test_the_table_of_a_moment(path: Path, state: Path) -> None:
    begin = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
    note_by_hand(path, state, now=lambda: begin)
    change(path, state, "pay", "share", "50%", "me", "", now=lambda: begin + timedelta(minutes=10))
    history, now = ledger.read(state), begin + timedelta(days=1)
    routes, number = table_at(history, begin + timedelta(minutes=5), now)
    assert (routes["pay"].share, number) == ("25%", 4)
    assert table_at(history, begin + timedelta(minutes=10), now)[0]["pay"].share == "50%"
    with pytest.raises(BadValue, match="the ledger begins at 2026-11-22T14:00"):
        table_at(history, begin - timedelta(seconds=1), now)
    with pytest.raises(BadValue, match="still to come"):
        table_at(history, now + timedelta(days=1), now)
    with pytest.raises(BadValue, match="empty"):
        table_at(ledger.History(), begin, now)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T14:05", "2026-11-22T14:05:00+00:00"),
        ("2026-11-22T14:05:06Z", "2026-11-22T14:05:06+00:00"),
        ("2026-11-22T14:05+02:00", "2026-11-22T12:05:00+00:00"),
        ("2026-11-22", "2026-11-22T23:59:59.999000+00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert parse_moment("2026-11-24", NOW, UTC) == NOW, "today is not over"
    assert parse_moment(text, NOW, UTC).isoformat() == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "\x1b[1m", "9" * 5_000, "0001-01-01T00:00+14:00"]
)
def test_no_moments(text: str) -> None:
    with pytest.raises(BadValue, match="is no time"):
        parse_moment(text, NOW, UTC)


# -- rolling back --------------------------------------------------------------------------------------------


def test_rolling_back(path: Path, state: Path) -> None:
    note_by_hand(path, state)
    for share in ("30%", "40%", "50%"):
        change(path, state, "pay", "share", share, "me", "")
    entry = roll_back(path, state, "pay", "6", who="me", why="as it was")
    assert entry is not None
    assert (entry.from_, entry.to) == ("50%", "40%")
    entry = roll_back(path, state, "pay", "5.5%", who="me", why="")
    assert entry is not None
    assert entry.to == "5.5%"
    assert roll_back(path, state, "pay", None, who="me", why="") is not None
    assert roll_back(path, state, "pay", None, who="me", why="") is None


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("60%", "pay is at 25%: a rollback only lowers a share"),
        ("7", "the ledger has no entry 7; it has 4"),
        ("0", "the ledger has no entry 0"),
        ("1.5", "the percent sign is missing"),
        ("-1", "write a percentage"),
        ("1" * 10_000, "write a percentage"),
    ],
)
def test_where_one_cannot_roll_back_to(path: Path, state: Path, to: str, says: str) -> None:
    note_by_hand(path, state)
    with pytest.raises(BadValue, match=says):
        roll_back(path, state, "pay", to, who="me", why="")


# -- moves that the file was not told ------------------------------------------------------------------------


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("strangler.cutover.file._write", refused)
    return monkeypatch


def effective(path: Path, state: Path) -> str:
    route = read_table(path, state)[0].route("pay")
    assert route is not None
    return f"{route.share / 1000:g}%"


def test_a_rollback_is_kept_when_the_file_cannot_be_written(
    path: Path, state: Path, unwritable: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotWrite, match="Read-only"):
        change(path, state, "pay", "share", "5%", "me", "")
    entry = roll_back(path, state, "pay", None, who="me", why="")
    assert entry is not None
    assert (entry.from_, entry.to, entry.file_before) == ("25%", "0%", entry.file_after)
    assert path.read_text() == TEXT
    assert effective(path, state) == "0%"
    table = read_table(path, state)[0]
    assert table.kept == (("pay", 25_000),)
    assert table.version != table.digest
    assert note_by_hand(path, state) != [], "what was never told is"
    assert ("pay", "share", "0%", "25%") not in told(state), "the file's share is not somebody's edit"
    assert roll_back(path, state, "pay", None, who="me", why="") is None
    [route] = report_on(table, state, "pay")["routes"]
    assert (route["share"], route["file_share"]) == (0, 25)


def test_the_files_own_later_change_wins(path: Path, state: Path, unwritable: pytest.MonkeyPatch) -> None:
    roll_back(path, state, "pay", None, who="me", why="")
    path.write_text(TEXT.replace("name: stock", "name: shelf"))
    assert effective(path, state) == "0%", "another route was edited"
    path.write_text(TEXT.replace("share: 25%", "share: 10%"))
    assert effective(path, state) == "10%"
    path.write_text(TEXT.replace("share: 25%", "share: 10%"))
    unwritable.undo()
    change(path, state, "pay", "share", "12%", "me", "")
    assert effective(path, state) == "12%"


def test_a_move_that_can_be_kept_nowhere_is_taken_back_in_the_ledger(
    path: Path, state: Path, unwritable: pytest.MonkeyPatch
) -> None:
    """As on a full disk, which has room for a line of the ledger yet, and for no new file."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    unwritable.setattr("strangler.cutover.whole.write_whole", full)
    with pytest.raises(CannotWrite, match=r"moves.json: No space left"):
        roll_back(path, state, "pay", None, who="me", why="")
    assert effective(path, state) == "25%"
    *_, done, undone = ledger.read(state).entries
    assert (done.from_, done.to, undone.from_, undone.to) == ("25%", "0%", "0%", "25%")
    assert undone.why.startswith("not carried out: cannot write ")
    unwritable.undo()
    change(path, state, "stock", "share", "1%", "me", "")
    assert [entry.who for entry in ledger.read(state).entries][-2:] == ["strangler", "me"], "no hand at work"


@pytest.mark.parametrize("noticed_by", ["the observer", "a command"])
def test_what_the_file_has_overruled_does_not_come_back(
    path: Path, state: Path, unwritable: pytest.MonkeyPatch, noticed_by: str
) -> None:
    roll_back(path, state, "pay", None, who="me", why="")
    unwritable.undo()
    path.write_text(TEXT.replace("share: 25%", "share: 0%"))
    if noticed_by == "the observer":
        note_by_hand(path, state)
    else:
        change(path, state, "stock", "share", "1%", "me", "")
    assert read_moves(state) == {}
    path.write_text(TEXT)
    assert effective(path, state) == "25%", "weeks later, when it is well again"


def test_a_route_that_is_not_in_the_file_has_overruled_nothing(
    path: Path, state: Path, unwritable: pytest.MonkeyPatch
) -> None:
    """An editor that writes in place shows half a file for a moment."""
    roll_back(path, state, "pay", None, who="me", why="")
    path.write_text(TEXT.replace("name: pay", "name: later"))
    note_by_hand(path, state)
    path.write_text(TEXT)
    assert effective(path, state) == "0%"


def test_setting_what_the_file_says_lets_go_of_what_was_kept(
    path: Path, state: Path, unwritable: pytest.MonkeyPatch
) -> None:
    roll_back(path, state, "pay", None, who="me", why="")
    entry = change(path, state, "pay", "share", "25%", "me", "well again")
    assert entry is not None
    assert (entry.from_, entry.to) == ("0%", "25%")
    assert effective(path, state) == "25%"
    assert read_moves(state) == {}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"pay": {"share": "x"}}', b"\xff", b'{"pay": 1}'])
def test_moves_that_cannot_be_read_are_named(path: Path, state: Path, data: bytes) -> None:
    state.mkdir()
    (state / "moves.json").write_bytes(data)
    with pytest.raises(CannotWrite, match=r"moves.json: cannot be read"):
        read_table(path, state)


def test_moves_of_routes_that_are_gone_are_nobodys(path: Path) -> None:
    table = read_table(path)[0]
    assert overlaid(table, {}) is table


# -- orders --------------------------------------------------------------------------------------------------


def test_orders_are_in_the_ledger(path: Path, state: Path) -> None:
    set_order(path, state, "stock", paused=True, who="me", why="release day")
    set_order(path, state, "stock", paused=False, who="me", why="")
    assert told(state) == [("stock", "ramp", "running", "paused"), ("stock", "ramp", "paused", "running")]
    with pytest.raises(BadValue, match="route pay has no ramp"):
        set_order(path, state, "pay", paused=True, who="me", why="")


# -- the whole migration -------------------------------------------------------------------------------------


def test_progress(path: Path) -> None:
    path.write_text(TEXT.replace("share: 25%", "share: 100%"))
    table = read_table(path)[0]
    now = 24.0 * 3600 * 1_000
    hour = int(now // 3600)
    served = [
        Served(hour - 24 * 9, "pay", "legacy", 5),
        Served(hour - 24 * 9, "", "legacy", 5),
        Served(hour - 2, "pay", "extracted", 30),
        Served(hour - 2, "", "legacy", 70),
    ]
    found = progress(table, served, now)
    assert (found["moved"], found["requests"], found["unclaimed"]) == (0.3, 100, 70)
    assert [day["moved"] for day in found["over_time"]] == [0.0, 0.3]
    assert found["finished"] == ["pay"]
    assert [(each["route"], each["days"]) for each in found["can_be_deleted"]] == [("pay", 9.0)]
    copied = progress(table, [*served, Served(hour - 3, "pay", "shadow_legacy", 1)], now)
    assert copied["can_be_deleted"] == [], "a copy asks it, too"
    assert progress(table, [], now)["can_be_deleted"] == [], "nothing is known yet"
    assert progress(table, [], now)["moved"] is None


def test_progress_by_the_hour(path: Path) -> None:
    table = read_table(path)[0]
    now = 1000 * 86_400.0 + 1800  # half past midnight of 1972-09-27
    hour = 24_000
    served = [
        Served(hour - 48, "pay", "legacy", 9),
        Served(hour - 47, "pay", "legacy", 3),
        Served(hour - 47, "pay", "extracted", 1),
        Served(hour - 5, "pay", "shadow_legacy", 8),
        Served(hour, "", "legacy", 2),
        Served(hour, "pay", "extracted", 6),
    ]
    assert progress(table, served[::-1], now)["by_hour"] == [
        {"hour": "1972-09-25T01:00:00.000Z", "moved": 0.25, "requests": 4},
        {"hour": "1972-09-27T00:00:00.000Z", "moved": 0.75, "requests": 8},
    ], "48 hours with the present one; a copy is no caller"
    assert progress(table, [], now)["by_hour"] == []


SERVED = st.lists(
    st.builds(
        Served,
        hour=st.integers(24_000 - 60, 24_000),
        route=st.sampled_from(["pay", "stock", ""]),
        name=st.sampled_from(["legacy", "extracted", "shadow_legacy"]),
        count=st.integers(0, 5),
    )
)


@given(SERVED)
def test_the_hours_add_up_to_the_last_day(served: list[Served]) -> None:
    found = progress(parse(TEXT.encode(), file="r", check_rule=lambda *rule: None), served, 24_000 * 3600.0)
    hours = found["by_hour"]
    assert [each["hour"] for each in hours] == sorted({each["hour"] for each in hours})
    assert all(each["requests"] > 0 and 0 <= each["moved"] <= 1 for each in hours)
    today = [each for each in hours if each["hour"] > timestamp((24_000 - 24) * 3600.0)]
    assert sum(each["requests"] for each in today) == found["requests"]


def test_a_route_that_was_never_asked_is_not_known_for_longer_than_the_evidence(path: Path) -> None:
    path.write_text(TEXT.replace("share: 25%", "share: 100%"))
    now = 24.0 * 3600 * 1_000
    served = [Served(int(now // 3600) - 24 * 8, "stock", "legacy", 1)]
    [found] = progress(read_table(path)[0], served, now)["can_be_deleted"]
    assert (found["route"], found["days"], found["last_asked"]) == ("pay", 8.0, None)


def test_known_is_nothing_by_default() -> None:
    assert Known() == Known(None, None, None)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("shadow: 100%", "shadow: 100%"), None),
        (("shadow: 100%", "shadow: 0%"), "nothing is copied (shadow: 0%)"),
        (("GET,HEAD", "POST"), "its methods are never copied"),
        (("steps: [5%]", "steps: [5%], match: none"), None),
    ],
)
def test_a_ramp_that_can_never_rise_is_warned_of(
    tmp_path: Path, edit: tuple[str, str], says: str | None
) -> None:
    text = TEXT.partition("  - {name: stock")[0] + "    ramp: {steps: [5%]}\n"
    if says is None:
        text = text.replace("shadow: 100%", "shadow: 0%") if "none" in edit[1] else text
    table = parse(text.replace(*edit).encode(), file="r", check_rule=lambda *rule: None)
    said = [fault.message for fault in advice_on(table, TODAY)]
    assert said == [] if says is None else says in said[0]
