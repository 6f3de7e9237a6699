"""What this library is told by a program that uses it."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Gives an event's version and data for somebody who knows versions up to the first argument.
Older = Callable[[int, str, int, dict[str, Any]], tuple[int, dict[str, Any]]]
#: Gives the header fields that let a delivery in where only the shop itself is; made anew for each attempt.
Sign = Callable[[], dict[str, str]]


_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def is_name(text: str) -> bool:
    """Say whether a consumer, or a group of consumers, may be called so."""
    return _NAME.fullmatch(text) is not None


class WrongUse(Exception):
    """What was asked for makes no sense; the text is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Program:
    """One that tells events and takes them.

    `open_existing` opens its database, and raises `unusable` where that cannot be. `take` lets an event, as it came,
    have its effect once, or raises; `status_of` says which status `POST /events` gives for what it raised. `signer`
    makes, of the file of keys, what signs deliveries; with None there is nothing to sign with.
    """

    command: str  # how it is called: `python -m legacy_monolith`
    group: str  # its name as a consumer
    example: str  # an address that somebody else may take its events at
    newest: Mapping[str, int]  # every event that it tells, and its newest version
    older: Older
    open_existing: Callable[[Path], sqlite3.Connection]
    unusable: type[Exception]
    take: Callable[[sqlite3.Connection, bytes], object]
    status_of: Callable[[Exception], int]
    signer: Callable[[Path | None], Sign]
