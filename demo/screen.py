"""What the reader of the demo sees: chapters, the commands they would type, and how far the traffic is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text


class Screen:
    """Prints, in colour and with a moving bar on a terminal only. With `verbose`, what the commands print too."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._verbose = verbose
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self.heading(f"{self._chapter}  {title}")

    def heading(self, title: str) -> None:
        """What stands above lines that belong together."""
        self._print(f"\n{title}", "bold")

    def command(self, text: str) -> None:
        """A command, as the reader would type it."""
        self._print(f"   $ {text}", "cyan")

    def output(self, text: str) -> None:
        """What a command has printed."""
        if self._verbose and text:
            self._print(text.rstrip("\n"), "")

    def happened(self, *lines: str) -> None:
        """What has happened in a chapter, in two lines; all of it has been checked."""
        mark = "✓" if self._console.encoding.lower().startswith("utf") else "-"
        for line in lines:
            self._console.print(Text.assemble((f"   {mark} ", "green"), line))

    def plain(self, text: str) -> None:
        """Text as it stands."""
        self._print(text, "")

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator[Callable[[], None]]:
        """How far it is: call what this gives once for each thing that is done. Without a total it has no known end."""
        if not self._console.is_terminal:
            yield lambda: None
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        # It goes away when it is done: what has happened is told in two lines, and not by bars.
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(text, style))


def number(count: int) -> str:
    """A count with a space between thousands: 9 412."""
    return f"{count:,}".replace(",", " ")
