import fcntl
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strangler.exchange import sheet
from strangler.exchange.sheet import COLUMNS, INDEX, WORKER, Sheet, SheetFull, row_of


def test_what_is_counted_is_read(tmp_path: Path) -> None:
    with Sheet(tmp_path / "a.sheet") as mine:
        mine.counts[mine.base("pay") + INDEX["handed"]] += 3
        mine.counts[mine.base("stock") + INDEX["queue_full"]] += 1
        mine.counts[mine.base("pay") + INDEX["legacy_2xx"]] += 2
        assert sheet.read(mine.path) == {
            "pay": {"handed": 3, "legacy_2xx": 2},
            "stock": {"queue_full": 1},
        }
        assert mine.column("handed") == {"pay": 3}


def test_every_column_has_its_own_place(tmp_path: Path) -> None:
    with Sheet(tmp_path / "a.sheet") as mine:
        for route in ("a", "ü", ""):
            for column in COLUMNS:
                mine.counts[mine.base(route) + INDEX[column]] += 1
        assert sheet.read(mine.path) == {route: dict.fromkeys(COLUMNS, 1) for route in ("a", "ü", "")}


def test_a_held_sheet_is_not_final_and_a_closed_one_is(tmp_path: Path) -> None:
    mine = Sheet(tmp_path / "a.sheet")
    assert not sheet.is_final(mine.path)
    mine.close()
    assert sheet.is_final(mine.path)


def test_a_sheet_has_its_name_only_once_it_is_whole_and_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sheet"
    seen = []
    lock, truncate = fcntl.flock, mmap.mmap
    monkeypatch.setattr(fcntl, "flock", lambda *how: seen.append(path.exists()) or lock(*how))
    monkeypatch.setattr(mmap, "mmap", lambda *how: seen.append(path.exists()) or truncate(*how))
    with Sheet(path):
        assert seen == [False, False], "whoever looks now would take it for a dead worker's"
        monkeypatch.undo()
        assert not sheet.is_final(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_happens_seldom_is_added(tmp_path: Path) -> None:
    with Sheet(tmp_path / "a.sheet") as mine:
        mine.add(WORKER, "turned_away")
        mine.add(WORKER, "turned_away", 2)
        mine.add(row_of("new 10.0.0.1:80"), "opened")
        assert sheet.read(mine.path) == {"/": {"turned_away": 3}, "/new 10.0.0.1:80": {"opened": 1}}


def test_counts_outlive_a_killed_worker(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from strangler.exchange.sheet import Sheet, INDEX\n"
        f"s = Sheet(Path({str(tmp_path / 'a.sheet')!r}))\n"
        "base = s.base('pay')\n"
        "for _ in range(1000): s.counts[base + INDEX['handed']] += 1\n"
        "print('counted', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "counted\n"
        assert not sheet.is_final(tmp_path / "a.sheet")
        os.kill(worker.pid, signal.SIGKILL)
    assert sheet.is_final(tmp_path / "a.sheet")
    assert sheet.read(tmp_path / "a.sheet") == {"pay": {"handed": 1000}}


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "b.sheet"
    foreign.write_bytes(b"x" * 4096)
    with pytest.raises(ValueError, match="not a sheet"):
        sheet.read(foreign)


def test_a_full_sheet_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "CAPACITY", 2)
    with Sheet(tmp_path / "a.sheet") as mine:
        mine.base("a")
        mine.base("b")
        mine.base("a")
        with pytest.raises(SheetFull):
            mine.base("c")
