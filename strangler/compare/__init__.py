"""Are two answers the same? Pure: no socket, clock, file or thread.

`compare` takes two answers and the compiled rules of a route, and gives every kind of difference once, or
raises `Incomparable` with the reason under which the exchange counts as skipped.
"""

from strangler.compare.advice import Advice, Said, advise, expired, fault
from strangler.compare.answers import Answered, Comparison, compare
from strangler.compare.bridge import Bridge, bridged, compile_side
from strangler.compare.difference import (
    SEVERITIES,
    Difference,
    Incomparable,
    Kind,
    Severity,
    Where,
    severity_of,
)
from strangler.compare.document import Document, decode
from strangler.compare.drift import Drift
from strangler.compare.fingerprint import fingerprint
from strangler.compare.lines import Line
from strangler.compare.machine import State
from strangler.compare.marked import Marked, marked
from strangler.compare.noise import FieldTally, Finding, chance, explains, findings
from strangler.compare.redact import MARK, Redactor
from strangler.compare.rules import Rules, compile_rules, is_covered, rule_text
from strangler.compare.shown import printable

__all__ = [
    "MARK",
    "SEVERITIES",
    "Advice",
    "Answered",
    "Bridge",
    "Comparison",
    "Difference",
    "Document",
    "Drift",
    "FieldTally",
    "Finding",
    "Incomparable",
    "Kind",
    "Line",
    "Marked",
    "Redactor",
    "Rules",
    "Said",
    "Severity",
    "State",
    "Where",
    "advise",
    "bridged",
    "chance",
    "compare",
    "compile_rules",
    "compile_side",
    "decode",
    "expired",
    "explains",
    "fault",
    "findings",
    "fingerprint",
    "is_covered",
    "marked",
    "printable",
    "rule_text",
    "severity_of",
]
