"""A difference between two answers: one of a small closed family of kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from strangler.compare.drift import Drift

Kind = Literal["missing", "added", "type", "value", "order", "length", "status", "header", "encoding"]
Severity = Literal["breaking", "value", "additive"]
Where = Literal["status", "header", "body"]

_SEVERITY: Final[dict[Kind, Severity]] = {
    "status": "breaking",
    "missing": "breaking",
    "type": "breaking",
    "encoding": "breaking",  # one side's bytes cannot be read the way the other side's can
    "value": "value",
    "order": "value",
    "length": "value",
    "added": "additive",
    "header": "additive",
}

#: Worst first: the order in which a report lists fingerprints.
SEVERITIES: Final[tuple[Severity, ...]] = ("breaking", "value", "additive")


def severity_of(kind: Kind) -> Severity:
    """How much a difference of this kind matters to a caller."""
    return _SEVERITY[kind]


class Incomparable(Exception):
    """These two answers cannot be compared. `reason` is the name under which the exchange is skipped."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two answers differ.

    `path` is a collapsed JSON path for the body, a lower-case name for a header, "" for the status and for
    a body as a whole. `legacy` and `extracted` are classes of value, so that they are the same for every
    exchange that differs in this way; `legacy_value` and `extracted_value` are one example of at most
    200 printable characters each, for people. `drift` says of two scalars of one type how they lie apart, and is
    None for every difference that can never be noise.
    """

    where: Where
    path: str
    kind: Kind
    legacy: str
    extracted: str
    legacy_value: str = ""
    extracted_value: str = ""
    drift: Drift | None = None

    @property
    def severity(self) -> Severity:
        """`breaking`, `value` or `additive`."""
        return _SEVERITY[self.kind]
