"""What have we seen? Observations are counted into evidence, and evidence is read as a report.

Pure: observation, tally, bounds, verdict, report, changes, words, documents, judged, sketch. Not pure: store and
reading (SQLite), render.
"""

from strangler.evidence.changes import Change, Changes, ReportError, RouteChange, compare_reports, read_report
from strangler.evidence.documents import html, junit, markdown
from strangler.evidence.judged import Acceptance, Standing, judged
from strangler.evidence.model import Evidence, Kept, PairEvidence, RouteEvidence, Sighting
from strangler.evidence.observation import Example, Observation, Outcome, Probe, Releases, example
from strangler.evidence.reading import read
from strangler.evidence.recorded import Recorded, can_be_asked, examples_of, read_recorded, within
from strangler.evidence.render import render_changes, render_report
from strangler.evidence.report import RouteFacts, build, fingerprint
from strangler.evidence.schema import StoreError
from strangler.evidence.shape import FingerprintDetail, Report, RouteReport
from strangler.evidence.store import Store
from strangler.evidence.tally import Histogram, Tally
from strangler.evidence.verdict import Gate, Verdict, judge

__all__ = [
    "Acceptance",
    "Change",
    "Changes",
    "Evidence",
    "Example",
    "FingerprintDetail",
    "Gate",
    "Histogram",
    "Kept",
    "Observation",
    "Outcome",
    "PairEvidence",
    "Probe",
    "Recorded",
    "Releases",
    "Report",
    "ReportError",
    "RouteChange",
    "RouteEvidence",
    "RouteFacts",
    "RouteReport",
    "Sighting",
    "Standing",
    "Store",
    "StoreError",
    "Tally",
    "Verdict",
    "build",
    "can_be_asked",
    "compare_reports",
    "example",
    "examples_of",
    "fingerprint",
    "html",
    "judge",
    "judged",
    "junit",
    "markdown",
    "read",
    "read_recorded",
    "read_report",
    "render_changes",
    "render_report",
    "within",
]
