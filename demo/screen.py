"""What the reader of the demo sees: chapters, the commands they would type, and how far the traffic is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text


class Screen:
    """Prints, in colour and with a moving bar on a terminal only."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self._print(f"\n{self._chapter}  {title}", "bold")

    def say(self, text: str) -> None:
        """One line about what has happened."""
        self._print(f"   {text}", "")

    def proved(self, text: str) -> None:
        """One line about what has been shown to hold."""
        mark = Text("   ✓ " if self._console.encoding.lower().startswith("utf") else "   ok: ", "green")
        self._console.print(mark.append(text, ""))

    def command(self, text: str) -> None:
        """A command, as the reader would type it."""
        self._print(f"   $ {text}", "cyan")

    def plain(self, text: str) -> None:
        """Text as it stands."""
        self._print(text, "")

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """How far it is: call what this gives once for each thing that is done."""
        if not self._console.is_terminal:
            yield lambda: None
            self.say(f"{title}: {number(total)} requests")
            return
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(text, style))


def number(count: int) -> str:
    """A count with a space between thousands: 9 412."""
    return f"{count:,}".replace(",", " ")
