"""`python -m demo`, as `make demo` runs it, only shorter."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO
from urllib.request import urlopen
from uuid import uuid4

import aiohttp
import psutil
import pytest

from demo import stage as stage_module
from demo import story
from demo.__main__ import CHAPTERS
from demo.processes import Processes, Trouble, reserve
from demo.screen import Screen
from demo.stage import Stage
from legacy_monolith import seed
from legacy_monolith.database import open_writer
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.placing import Placing
from legacy_monolith.saga_log import Places

ROOT = Path(__file__).resolve().parents[2]
MARK = "STRANGLER_DEMO_TEST"
WITHIN = 60.0


class Demo:
    """A demo under way. Whatever it starts carries the mark in its environment, whoever its parent is by then."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.mark = uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--quick", *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.said = ""

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def until(self, text: str) -> None:
        while text not in self.said:
            line = self.output.readline()
            assert line, f"the demo ended before it said {text!r}:\n{self.said}"
            self.said += line

    def end(self) -> int:
        self.said += self.output.read()
        return self.process.wait(WITHIN)

    def alive(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._ours(process)]

    def _ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def left_nothing(self) -> bool:
        return not self.alive() and not list(self.folder.iterdir())


async def test_an_order_that_does_not_end_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "SETTLED_WITHIN", 5.0)
    with closing(open_writer(tmp_path / "shop.sqlite3", partial(seed.fill, seed=2019))) as db:
        wish = OrderRequest(7, (Item("TEA-001", 1),), "card", "tok_visa")
        Placing(db, Places("http", "http"), lambda _: None).begin(wish, "2026-04-01T12:00:00Z")
    async with Processes(tmp_path) as processes:
        with (
            Stage(tmp_path, processes, Screen()) as stage,
            pytest.raises(Trouble, match=r"orders are under way still after 5 s: .*10801"),
        ):
            await stage.sagas_ended()


async def test_settings_of_the_readers_own_shop_are_not_those_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_STOCK", "nowhere")
    monkeypatch.setenv("STRANGLER_TOKEN", "t" * 40)
    async with Processes(tmp_path) as processes:
        with Stage(tmp_path, processes, Screen()) as stage:
            await stage.open()
            await stage.taken_up()
            await stage.sagas_ended()


async def test_nobody_else_is_given_the_port_of_a_shop_that_is_started_anew(tmp_path: Path) -> None:
    async with Processes(tmp_path) as processes:
        with Stage(tmp_path, processes, Screen()) as stage, closing(socket.socket()) as stranger:
            await stage.start_shop()
            await stage.stop_shop()
            where = stage.monolith
            with pytest.raises(OSError, match="in use"):
                stranger.bind(("127.0.0.1", int(where.rsplit(":", 1)[1])))
            await stage.start_shop()
            assert stage.monolith == where


async def test_a_service_has_started_when_every_worker_finds_it_in_order(tmp_path: Path) -> None:
    """On a busy machine the workers have looked for it in vain before it is there."""
    async with Processes(tmp_path) as processes, aiohttp.ClientSession() as session:
        with Stage(tmp_path, processes, Screen()) as stage:
            await stage.open()

            async def out() -> int:
                async with session.get(f"{stage.admin}/metrics") as answer:
                    found = re.search(r'^strangler_endpoint_out.*payments"\} (\d)', await answer.text(), re.M)
                    return int(found[1]) if found else 0

            routes = tmp_path / "routes.yaml"
            often = "every: 50ms, up: 20"
            routes.write_text(routes.read_text().replace("every: 500ms", often))
            async with asyncio.timeout(WITHIN):
                while await out() < 2:
                    pass
            async with session.get(f"{stage.admin}/api/v1/routes") as answer:
                assert (await answer.json())["out"] == ["inventory", "payments"]
            await stage.fill("payments")
            await stage.start("payments", "v1")
            assert await out() == 0


def test_the_chapters_that_can_be_asked_for_are_those_of_the_story() -> None:
    assert list(story.CHAPTERS) == list(CHAPTERS)


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    running = Demo(folder, *options)
    try:
        yield running
    finally:
        for process in running.alive():
            process.kill()
        running.process.wait(WITHIN)
        running.output.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_tells_its_story_without_a_failed_request_and_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        assert running.end() == 0, running.said
        last = running.said.splitlines()[-1]
        assert re.fullmatch(r"Done in \d+ s: \d+ \d{3} requests, 0 failed\.", last)
        chapters = re.findall(
            r"^(\d)  (Observe|Shadow|Find|Fix|Compare|Ramp|Survive|Roll back|Finish)\b", running.said, re.M
        )
        assert [int(number) for number, _ in chapters] == list(range(1, 10))
        # Each tells what happened in two lines, and the commands that a reader would type.
        for chapter in re.split(r"^\d  ", running.said, flags=re.M)[1:]:
            assert len(re.findall(r"^   ✓ ", chapter, re.M)) == 2
            assert re.search(r"^   \$ \S", chapter, re.M)
        assert "Found a number that became a string ($.unit_cost.amount)" in running.said
        assert "-> 0% by the ramp itself: errors: " in running.said
        assert "\x1b" not in running.said
        assert running.left_nothing()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "2  Shadow"), (signal.SIGTERM, "4  Fix")],
)
def test_a_signal_in_the_middle_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    with demo(tmp_path) as running:
        running.until(moment)
        assert len(running.alive()) >= 5
        running.process.send_signal(number)
        assert running.end() == 128 + number
        assert "Traceback" not in running.said
        assert running.left_nothing()


def test_a_signal_while_the_first_process_starts_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        wait_for(lambda: len(running.alive()) >= 2)
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
        assert running.said == ""
        assert running.left_nothing()


def test_a_second_signal_does_not_disturb_the_first(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.until("2  Shadow")
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() in {130, 143}
        assert "Traceback" not in running.said
        assert running.left_nothing()


def test_a_process_that_dies_is_named(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.until("2  Shadow")
        (shop,) = [process for process in running.alive() if "legacy_monolith" in process.cmdline()]
        shop.kill()
        assert running.end() == 1
        assert "The demo stops here: monolith was killed by signal 9." in running.said
        assert "Traceback" not in running.said
        assert running.left_nothing()


def _ran(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        ("demo", ["--until", "never"], "argument --until: invalid choice: 'never'"),
        ("demo.customers", ["--looks", "many"], "'many' is not a number from 0 to 9999999"),
        ("demo.customers", ["--at", "nowhere"], "'nowhere' is not an address such as http://127.0.0.1:8080"),
        ("demo.customers", ["--at", "http://127.0.0.1:x"], "is not an address such as"),
        ("demo.customers", ["--at", "http://127.0.0.1:8080/shop"], "is not an address such as"),
    ],
)
def test_wrong_use_is_one_line(module: str, options: list[str], says: str) -> None:
    done = _ran(module, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"python -m {module}: error: ")
    assert says in done.stderr


def test_customers_say_that_nobody_answers_before_hundreds_of_requests_fail() -> None:
    port, sock = reserve()
    with sock:
        done = _ran("demo.customers", "--at", f"http://127.0.0.1:{port}/")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(
        f"nobody answers at http://127.0.0.1:{port}: does `strangler serve` run there?"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_full_is_told_in_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "demo", "--quick"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "The demo stops here: [Errno 28] No space left on device\n")
    assert not list(tmp_path.iterdir())


def test_keep_goes_on_until_it_is_told_and_keeps_the_folder(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep", "--until", "find") as running:
        running.until("Done in")
        assert "Find the bug" in running.said
        assert "Fix" not in running.said
        assert "console and admin API  http://127.0.0.1:" in running.said
        assert len(running.alive()) >= 8
        told = running.said.partition("Everything goes on running, until Ctrl-C\n")[2]
        with urlopen(re.findall(r"in a browser +(http://\S+)", told)[0], timeout=WITHIN) as page:
            assert page.status == 200
        # Typed into a shell that knows nothing, what it says is enough to go on by hand.
        typed = " && ".join([*re.findall(r"^   \$ (.+)$", told, re.M), "python -m legacy_monolith --help"])
        shell = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", typed], env=shell, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("running: pid ")
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 0
        assert not running.alive()
        (folder,) = tmp_path.iterdir()
        assert (folder / "routes.yaml").exists()
