"""Where the access log is written: files that move, pipes, full disks, and a log that a reload changes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strangler.exchange.sheet import WORKER
from strangler.gateway import access as access_log
from strangler.gateway.access import Access, AccessLog
from tests.support.access import Read, line, now
from tests.support.gateway import gateway, get, say
from tests.support.raw import answering, ok, read_head, until


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path / "access.jsonl")


# -- where it is written -------------------------------------------------------------------------------------


async def test_a_log_that_is_renamed_is_gone_on_with_under_its_name(tmp_path: Path, read: Read) -> None:
    async with gateway(tmp_path, answering(*[ok(b"")] * 3), top=read.top) as made:
        await say(made.port, get("/1"))
        await read.first()
        rotated = Read(read.path.with_suffix(".1"))
        os.rename(read.path, rotated.path)
        await say(made.port, get("/2"))
        [two] = await read.first()
        fresh = tmp_path / "fresh"
        fresh.touch()
        os.replace(fresh, read.path)
        await say(made.port, get("/3"))
        [three] = await read.first()
    assert [said["target"] for said in (*rotated.lines, two, three)] == ["/1", "/2", "/3"]


async def test_the_log_may_be_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with gateway(tmp_path, answering(ok(b"")), top="access_log: stdout") as made:
        await say(made.port, get("/out"))
    assert json.loads(capfd.readouterr().out)["target"] == "/out"


def test_two_logs_on_one_pipe_do_not_run_into_each_other(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    logs = [AccessLog(str(pipe)) for _ in range(2)]
    text = bytearray()
    for number in range(2_000):
        for which, log in enumerate(logs):
            log.write(line(f"/{which}/{number}/" + "x" * (number % 1500)))
    with pipe.open("rb", buffering=0) as end:
        while text.count(b"\n") < 4_000:
            text += end.read(2**20)
        for log in logs:
            log.finish()
            log.join(5)
    targets = [json.loads(each)["target"].split("/")[1:3] for each in text.splitlines()]
    for which in "01":
        assert [number for log, number in targets if log == which] == [str(n) for n in range(2_000)]


async def test_a_log_that_cannot_be_opened_hurts_nobody_and_is_begun_when_it_can(
    tmp_path: Path, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    later = Read(tmp_path / "later" / "access.jsonl")
    async with gateway(tmp_path, answering(ok(b"1"), ok(b"2")), top=later.top) as made:
        assert (await say(made.port, get("/1"))).endswith(b"1")
        complaint = f"the access log cannot be written: {later.path}: No such file or directory"
        await until(lambda: complaint in caplog.messages)
        later.path.parent.mkdir()
        assert (await say(made.port, get("/2"))).endswith(b"2")
        assert [said["target"] for said in await later.first(2)] == ["/1", "/2"]
        assert caplog.messages.count(complaint) == 1


async def test_a_disk_that_is_full_hurts_nobody_and_what_does_not_fit_is_counted(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "WAITING", 3)
    os.symlink("/dev/full", read.path)
    async with gateway(tmp_path, answering(*[ok(b"fine")] * 8), top=read.top) as made:
        for number in range(7):
            assert (await say(made.port, get(f"/{number}"))).endswith(b"fine")
        await until(lambda: any("No space left on device" in message for message in caplog.messages))
        fresh = tmp_path / "fresh"
        (tmp_path / "roomy").touch()
        os.symlink(tmp_path / "roomy", fresh)
        os.replace(fresh, read.path)
        await until(lambda: any("dropped" in said for said in read.lines))
        *written, last = read.lines
        assert [said["target"] for said in written] == [f"/{number}" for number in range(len(written))]
        assert 3 <= len(written) < 6  # a piece that is being tried leaves its room to others
        assert last == {"dropped": 7 - len(written)}
        assert made.count(WORKER, "lines_dropped") == 7 - len(written)
        await say(made.port, get("/7"))
        assert (await read.first(len(written) + 2))[-1]["target"] == "/7"


async def test_a_line_that_was_torn_is_written_again_on_a_line_of_its_own(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = [100]
    write = os.write

    def full_disk(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        took = write(file, data[: room[0]])
        room[0] -= took
        return took

    monkeypatch.setattr(os, "write", full_disk)
    log = AccessLog(str(read.path))
    whole = len(log._encode(line("/1"))) + 1
    room[0] = whole + 20
    for target in ("/1", "/2", "/3"):
        log.write(line(target))
    await until(lambda: room[0] == 0)
    room[0] = 10_000
    await until(lambda: read.path.read_bytes().count(b"\n") >= 4)
    log.write(line("/4"))
    log.finish()
    log.join(5)
    first, torn, *rest = read.path.read_bytes().splitlines()
    assert len(torn) == 20
    assert [json.loads(each)["target"] for each in (first, *rest)] == ["/1", "/2", "/3", "/4"]


async def test_what_waits_at_the_end_is_written(read: Read) -> None:
    access = Access()
    access.use(str(read.path))
    assert access.log is not None
    for number in range(5_000):
        access.log.write(line(f"/{number}"))
    access.close()
    assert [said["target"] for said in read.lines] == [f"/{number}" for number in range(5_000)]


# -- a reload ------------------------------------------------------------------------------------------------


async def test_a_log_can_be_begun_moved_and_ended_while_requests_are_under_way(tmp_path: Path) -> None:
    one, two = Read(tmp_path / "one.jsonl"), Read(tmp_path / "two.jsonl")
    access = Access()
    for path in (str(one.path), str(one.path), str(two.path), None):
        access.use(path)
        if access.log is not None:
            access.log.write(line(path or ""))
    assert access.log is None
    access.close()
    assert [said["target"] for said in one.lines] == [str(one.path)] * 2
    assert [said["target"] for said in two.lines] == [str(two.path)]


async def test_a_log_on_a_stuck_pipe_does_not_hold_up_its_successor(tmp_path: Path, read: Read) -> None:
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)  # nobody reads: opening it waits
    access = Access()
    access.use(str(stuck))
    former = access.log
    assert former is not None
    former.write(line())
    access.use(str(read.path))
    assert not former.finished
    assert access.log is not None
    access.log.write(line("/new"))
    assert [said["target"] for said in await read.first()] == ["/new"]
    os.close(os.open(stuck, os.O_RDONLY | os.O_NONBLOCK))  # lets the thread go
    access.close()


async def test_a_request_that_came_before_the_log_was_begun_is_not_timed(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = now()
    kept: list[Access] = []
    init = Access.__init__

    def keeping(self: Access, on_drop: Callable[[], None]) -> None:
        init(self, on_drop)
        kept.append(self)

    monkeypatch.setattr(Access, "__init__", keeping)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await go_on.wait()
        writer.write(ok(b"at last"))

    async with gateway(tmp_path, waits) as made:
        answer = asyncio.create_task(say(made.port, get("/")))
        await begun.wait()
        kept[0].use(str(read.path))
        go_on.set()
        await answer
        [said] = await read.first()
    assert (said["total_ms"], said["upstream_ms"], said["status"]) == (None, None, 200)
    assert before <= said["time"] <= now()
