"""Changing routes.yaml: whole or not at all, one at a time, never without an entry in the ledger."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.cutover import BadValue, CannotWrite, Entry, UnknownRoute, change, ledger, lock, read_table
from strangler.cutover import file as cutover_file
from strangler.cutover.lock import held
from strangler.routes import CannotEdit, Faults, format_percent

TEXT = """\
# the shop
version: 1
upstreams:
  monolith: {url: http://127.0.0.1:8001}
  payments: {url: http://127.0.0.1:8002}   # new
legacy: monolith
routes:
  - name: read
    match: GET /payments/{id}
    extracted: payments
    share:   0%     # careful
    shadow: 100%
  - name: pay
    match: POST /payments
    extracted: payments
    share: 0%
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "conf" / "routes.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    return file


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def _change(path: Path, state: Path, value: str, route: str = "read") -> Entry | None:
    return change(path, state, route, "share", value, who="me@here", why="because")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_value_changes_and_the_ledger_says_so(path: Path, state: Path) -> None:
    before = _digest(path)
    entry = change(path, state, "read", "share", "25%", who="me@here", why="because", evidence="pass")
    assert path.read_text() == TEXT.replace("share:   0%     #", "share:   25%     #")
    assert entry is not None
    assert (entry.route, entry.key, entry.from_, entry.to) == ("read", "share", "0%", "25%")
    assert (entry.who, entry.why, entry.evidence) == ("me@here", "because", "pass")
    assert (entry.file_before, entry.file_after) == (before, _digest(path))
    assert entry.at.endswith("Z")
    assert ledger.read(state).entries == (entry,)
    assert read_table(path)[0].digest == entry.file_after


def test_the_same_value_is_no_change(path: Path, state: Path) -> None:
    inode = path.stat().st_ino
    assert _change(path, state, "0.000%") is None
    assert path.stat().st_ino == inode
    assert ledger.read(state).entries == ()


def test_a_value_is_written_in_its_shortest_form(path: Path, state: Path) -> None:
    entry = _change(path, state, "12.50%")
    assert entry is not None
    assert entry.to == "12.5%"
    assert "share:   12.5%" in path.read_text()


@given(shares=st.lists(st.integers(0, 100_000), max_size=6))
@settings(max_examples=15, deadline=None)
def test_the_ledger_tells_the_whole_story(
    tmp_path_factory: pytest.TempPathFactory, shares: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("story")
    path = folder / "routes.yaml"
    path.write_text(TEXT)
    for share in shares:
        change(path, folder, "pay", "share", format_percent(share), who="", why="")
    history = ledger.read(folder)
    value, digest = "0%", hashlib.sha256(TEXT.encode()).hexdigest()
    for entry in history.entries:
        assert (entry.from_, entry.file_before) == (value, digest)
        value, digest = entry.to, entry.file_after
    table, _ = read_table(path)
    assert (value, digest) == (format_percent(table.routes[1].share), table.digest)
    assert (history.broken, history.outside, history.torn) == ((), (), ())


@pytest.mark.parametrize(
    ("value", "message"),
    [("25", "write 25%"), ("101%", "more than 100%"), ("", "percentage"), ("-1%", "percentage")],
)
def test_a_bad_value_changes_nothing(path: Path, state: Path, value: str, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        _change(path, state, value)
    assert path.read_text() == TEXT
    assert not state.exists()


@pytest.mark.parametrize("why", ["two\nlines", "\x1b[31mred", "x" * 1001])
def test_a_reason_that_would_disturb_a_terminal_is_refused(path: Path, state: Path, why: str) -> None:
    with pytest.raises(BadValue, match="reason"):
        change(path, state, "read", "share", "1%", who="", why=why)


def test_an_unknown_route_gets_a_suggestion(path: Path, state: Path) -> None:
    with pytest.raises(UnknownRoute, match=r"no route is named 'raed'; did you mean read\?"):
        _change(path, state, "1%", route="raed")
    with pytest.raises(UnknownRoute, match="there are: read, pay"):
        _change(path, state, "1%", route="zzz")


def test_a_faulty_file_is_not_touched(path: Path, state: Path) -> None:
    path.write_text(TEXT.replace("legacy: monolith", "legacy: monolit"))
    with pytest.raises(Faults, match=r"routes\.yaml:6:9: error"):
        _change(path, state, "1%")


def test_a_value_that_cannot_be_replaced_is_refused(path: Path, state: Path) -> None:
    text = TEXT.replace("share: 0%", "share: >-\n      0%")
    path.write_text(text)
    with pytest.raises(CannotEdit, match="line 16"):
        _change(path, state, "1%", route="pay")
    assert path.read_text() == text
    assert ledger.read(state).entries == ()


def test_relative_paths_begin_in_the_folder_where_the_file_is_looked_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(TEXT + "access_log: access.jsonl\n")
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link.yaml"
    link.symlink_to("conf/routes.yaml")
    found = [read_table(each)[0].access_log for each in (path, Path("conf/routes.yaml"), link)]
    in_conf = str(tmp_path / "conf" / "access.jsonl")
    assert found == [in_conf, in_conf, str(tmp_path / "access.jsonl")]


def test_mode_stays_and_a_link_stays_a_link(path: Path, state: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to("conf/routes.yaml")
    assert _change(link, state, "5%") is not None
    assert link.is_symlink()
    assert "5%" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["routes.yaml"]


def test_what_an_earlier_crash_left_does_not_disturb(path: Path, state: Path, tmp_path: Path) -> None:
    innocent = tmp_path / "innocent"
    innocent.write_text("mine")
    path.with_name(".routes.yaml.strangler-new").symlink_to(innocent)
    assert _change(path, state, "5%") is not None
    assert innocent.read_text() == "mine"
    assert os.listdir(path.parent) == ["routes.yaml"]


@pytest.mark.parametrize(("name", "message"), [("gone", "No such file"), ("folder", "Is a directory")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, state: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Faults) as caught:
        read_table(tmp_path / name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(Faults):
        _change(tmp_path / name, state, "1%")
    with pytest.raises(Faults, match="not a regular file"):
        read_table(tmp_path / "pipe")


def test_a_large_file_is_one_line(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(50 * 1024 * 1024)
    with pytest.raises(Faults, match="larger than"):
        read_table(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(path: Path, state: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(CannotWrite, match="its folder must be writable"):
            _change(path, state, "1%")
    finally:
        path.parent.chmod(0o700)
    assert ledger.read(state).entries == ()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_what_a_read_only_folder_says(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(cutover_file, "_write", _fails(number))
    with pytest.raises(CannotWrite, match="its folder must be writable"):
        _change(path, state, "1%")
    assert path.read_text() == TEXT
    assert ledger.read(state).entries == ()


def test_a_state_folder_that_cannot_be_is_one_line(path: Path) -> None:
    with pytest.raises(CannotWrite, match="cannot make the state folder"):
        _change(path, path / "state", "1%")
    assert path.read_text() == TEXT


# --- the order of the steps ------------------------------------------------------------------------------


def _fails(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_rename_that_fails_is_taken_back_in_the_ledger(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutover_file.os, "replace", _fails(errno.EBUSY))
    with pytest.raises(CannotWrite, match="Mount its folder instead"):
        _change(path, state, "1%")
    assert path.read_text() == TEXT
    assert os.listdir(path.parent) == ["routes.yaml"]
    history = ledger.read(state)
    assert [(entry.from_, entry.to) for entry in history.entries] == [("0%", "1%"), ("1%", "0%")]
    assert "not carried out" in history.entries[1].why
    assert (history.broken, history.outside) == ((), ())


def test_a_ledger_that_fails_leaves_the_file(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.os, "fsync", _fails(errno.ENOSPC))
    with pytest.raises(CannotWrite, match="No space left"):
        _change(path, state, "1%")
    assert path.read_text() == TEXT
    assert os.listdir(path.parent) == ["routes.yaml"]
    monkeypatch.undo()
    assert ledger.read(state).entries == ()


STEPS = ("write", "append", "replace", "sync_folder")


def _die_before(step: str, path: Path, state: Path) -> None:
    place = {"write": (cutover_file, "_write"), "replace": (os, "replace")}.get(step, (ledger, step))
    setattr(place[0], place[1], lambda *_, **__: os.kill(os.getpid(), 9))
    _change(path, state, "7%")


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_steps_leaves_the_old_file_or_the_new(path: Path, state: Path, step: str) -> None:
    state.mkdir()
    ledger.append(state, Entry("", "", "pay", "share", "", "", "", "", _digest(path), ""))  # so it is not new
    process = multiprocessing.get_context("fork").Process(target=_die_before, args=(step, path, state))
    process.start()
    process.join(30)
    assert process.exitcode == -9
    happened = step == "sync_folder"
    assert path.read_text() == (TEXT.replace("share:   0%", "share:   7%") if happened else TEXT)
    # The next change finds out, and the ledger tells the truth again.
    assert _change(path, state, "9%") is not None
    told = [(entry.from_, entry.to) for entry in ledger.read(state).entries[1:]]
    assert (
        told
        == {
            "write": [("0%", "9%")],
            "append": [("0%", "9%")],
            "replace": [("0%", "7%"), ("7%", "0%"), ("0%", "9%")],
            "sync_folder": [("0%", "7%"), ("7%", "9%")],
        }[step]
    )
    history = ledger.read(state)
    assert (history.broken, history.outside) == ((), ())
    assert os.listdir(path.parent) == ["routes.yaml"]


def test_an_editor_that_saves_meanwhile_loses_nothing(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cutover_file._write
    saves = iter([TEXT.replace("# the shop", "# my shop")])

    def write_while_somebody_saves(fresh: Path, data: bytes, like: Path) -> None:
        write(fresh, data, like)
        if (text := next(saves, None)) is not None:
            path.write_text(text)

    monkeypatch.setattr(cutover_file, "_write", write_while_somebody_saves)
    assert _change(path, state, "3%") is not None
    assert path.read_text() == TEXT.replace("# the shop", "# my shop").replace("share:   0%", "share:   3%")
    assert len(ledger.read(state).entries) == 1


# --- many at once ----------------------------------------------------------------------------------------


def _walk(path: Path, state: Path, route: str, steps: int) -> None:
    for step in range(1, steps + 1):
        change(path, state, route, "share", f"{step}%", who=route, why="")


@pytest.mark.parametrize("shared_state", [True, False])
def test_changes_at_once_from_several_processes_lose_none(tmp_path: Path, shared_state: bool) -> None:
    names = ["a", "b", "c", "d"]
    path = tmp_path / "routes.yaml"
    head = TEXT[: TEXT.index("  - name")]
    route = "  - {{name: {0}, match: /{0}, extracted: payments, share: 0%}}\n"
    path.write_text(head + "".join(route.format(name) for name in names))
    states = {name: tmp_path / ("state" if shared_state else f"state-{name}") for name in names}
    context = multiprocessing.get_context("fork")
    walkers = [context.Process(target=_walk, args=(path, states[name], name, 8)) for name in names]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join(60)
    assert [walker.exitcode for walker in walkers] == [0] * 4
    assert [each.share for each in read_table(path)[0].routes] == [8000] * 4
    for name in names:
        history = ledger.read(states[name], name)
        assert [entry.to for entry in history.entries] == [f"{step}%" for step in range(1, 9)]
        assert (history.broken, history.torn) == ((), ())
        assert not (shared_state and history.outside)


def test_a_change_that_hangs_makes_the_next_one_give_up(path: Path, state: Path) -> None:
    with (
        held(state, path.parent),
        pytest.raises(CannotWrite, match="another change has held"),
        held(state, path.parent, patience=0.02),
    ):
        pass
    assert lock.PATIENCE >= 1
    assert _change(path, state, "2%") is not None
