"""One run of the demo: everything set up, the story told, everything taken down, and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.play import FULL, QUICK, Play
from demo.processes import ROOT, Processes, Trouble
from demo.proofs import Disproved
from demo.screen import Screen, number
from demo.stage import Stage
from demo.story import tell
from demo.traffic import Count, Crowd

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOWN_FAILURES = 5


def run(*, keep: bool, quick: bool, verbose: bool, until: str, seed: int) -> int:
    """Run the demo. Returns 0, 1 when it did not go as told, or 128 and the signal that ended it."""
    return asyncio.run(
        _until_told(_demo(Screen(verbose=verbose), keep=keep, quick=quick, until=until, seed=seed))
    )


async def _until_told(work: Coroutine[object, object, int]) -> int:
    """Do the work. The first signal cancels it, and those that follow do not disturb the taking down."""
    task = asyncio.create_task(work)
    told: list[signal.Signals] = []

    def leave(number: signal.Signals) -> None:
        if not told:
            told.append(number)
            task.cancel()

    for each in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(each, leave, each)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + (told[0] if told else signal.SIGINT)


async def _demo(screen: Screen, *, keep: bool, quick: bool, until: str, seed: int) -> int:
    began = time.monotonic()
    told = False
    try:
        with _folder(keep) as folder:
            count = await _played(screen, folder, keep=keep, quick=quick, until=until, seed=seed, began=began)
            told = not count.failures
    except* (Disproved, Trouble) as problems:
        for problem in _leaves(problems):
            screen.plain(f"\nThe demo stops here: {problem}")
    except* OSError as problems:  # nowhere to write to: perhaps not even there, where the screen is
        for problem in _leaves(problems):
            print(f"The demo stops here: {problem}", file=sys.stderr)
    return 0 if told else 1


async def _played(
    screen: Screen, folder: Path, *, keep: bool, quick: bool, until: str, seed: int, began: float
) -> Count:
    async with Processes(folder) as processes:
        with Stage(folder, processes, screen) as stage:
            await stage.open(shadow="0%")
            async with Crowd(stage.proxy) as crowd:
                try:
                    await tell(Play(stage, crowd, screen, QUICK if quick else FULL, seed), until)
                except Disproved as problem:
                    raise Disproved(f"{problem}{stage.proxy_tail}") from problem
                finally:
                    _tell_failures(screen, crowd.count)
            if keep:
                _tell_addresses(screen, stage)
            _tell_end(screen, crowd.count, time.monotonic() - began)
            if keep:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    return crowd.count


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="strangler-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _tell_failures(screen: Screen, count: Count) -> None:
    for failure in count.failures[:SHOWN_FAILURES]:
        screen.plain(f"   failed: {failure}")
    if len(count.failures) > SHOWN_FAILURES:
        screen.plain(f"   and {number(len(count.failures) - SHOWN_FAILURES)} more failed")


def _tell_addresses(screen: Screen, stage: Stage) -> None:
    screen.heading("Everything goes on running, until Ctrl-C")
    screen.plain(f"   callers come to        {stage.proxy}")
    screen.plain(f"   in a browser           {stage.proxy}/catalogue")
    screen.plain(f"   console and admin API  {stage.admin}")
    screen.plain(f"   the shop by itself     {stage.monolith}")
    screen.plain("   routes.yaml, the state, the databases and all logs are in this folder, which stays:")
    screen.command(f"cd {shlex.quote(str(stage.folder))}")
    screen.command(_entered())
    screen.command("strangler status")


def _entered() -> str:
    """What makes another shell find all that the demo has found."""
    find = f"export PYTHONPATH={shlex.quote(str(ROOT))}"
    activate = Path(sys.prefix, "bin", "activate")
    return f". {shlex.quote(str(activate))} && {find}" if activate.exists() else find


def _tell_end(screen: Screen, count: Count, seconds: float) -> None:
    failed = number(len(count.failures))
    screen.plain(f"\nDone in {seconds:.0f} s: {number(count.requests)} requests, {failed} failed.")


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
