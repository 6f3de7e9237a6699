"""Are two answers the same? Pure: no socket, clock, file or thread.

`compare` takes two answers and the compiled rules of a route, and gives every kind of difference once, or
raises `Incomparable` with the reason under which the exchange counts as skipped.
"""

from strangler.compare.answers import Answered, compare
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
from strangler.compare.expression import expression_fault
from strangler.compare.fingerprint import fingerprint
from strangler.compare.redact import Redactor
from strangler.compare.rules import Rules, compile_rules, fault
from strangler.compare.shown import printable

__all__ = [
    "SEVERITIES",
    "Answered",
    "Bridge",
    "Difference",
    "Document",
    "Incomparable",
    "Kind",
    "Redactor",
    "Rules",
    "Severity",
    "Where",
    "bridged",
    "compare",
    "compile_rules",
    "compile_side",
    "decode",
    "expression_fault",
    "fault",
    "fingerprint",
    "printable",
    "severity_of",
]
