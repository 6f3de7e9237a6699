"""Faults of a routes file: what is wrong, and the place where it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PASSWORD = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a file. `line` and `column` count from 1, in characters."""

    line: int
    column: int
    message: str

    def render(self, file: str) -> str:
        """The fault as one line of text: `routes.yaml:12:5: error: …`."""
        return f"{file}:{self.line}:{self.column}: error: {self.message}"


class Faults(ValueError):
    """Everything wrong with a file, sorted by place."""

    def __init__(self, file: str, faults: Iterable[Fault]) -> None:
        self.file = file
        self.faults = tuple(sorted(set(faults)))
        super().__init__(file, self.faults)

    def __str__(self) -> str:
        return "\n".join(fault.render(self.file) for fault in self.faults)


def shown(text: str) -> str:
    """Text out of a file, fit for a message: quoted, on one line, short, and without a password in a URL."""
    text = _PASSWORD.sub("//…@", text)
    return repr(text if len(text) <= 60 else text[:59] + "…")
