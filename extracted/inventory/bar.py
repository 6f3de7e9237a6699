"""How far a long command has come: a bar on a terminal, nothing elsewhere."""

from typing import TextIO

WIDTH = 40


def line(done: int, total: int) -> str:
    """Write how far it has come. Nothing to do is all done."""
    part = done / total if total else 1.0
    filled = int(part * WIDTH)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {int(part * 100):3} %  {done} of {total} events"


class Bar:
    """Draws the line anew, in its place, whenever there is another percent. Where nobody looks it draws nothing."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._seen = out.isatty()
        self._drawn = -1

    def __call__(self, done: int, total: int) -> None:
        """Hear how far it has come."""
        percent = done * 100 // total if total else 100
        if self._seen and percent != self._drawn:
            self._drawn = percent
            print(f"\r{line(done, total)}", end="", file=self._out, flush=True)

    def close(self) -> None:
        """Leave the line, so that what is printed next stands below it."""
        if self._drawn >= 0:
            print(file=self._out, flush=True)
