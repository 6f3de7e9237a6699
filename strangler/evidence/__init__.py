"""What have we seen? Observations are counted into evidence, and evidence is read as a report.

Pure: observation, tally, bounds, rates, verdict, step, window, report, changes, views, pairs, words, documents, judged,
sketch, lately. Not pure: store and reading (SQLite), render.
"""

from strangler.evidence.changes import Change, Changes, ReportError, RouteChange, compare_reports, read_report
from strangler.evidence.documents import html, junit, markdown
from strangler.evidence.judged import Acceptance, Judged, Standing, judged
from strangler.evidence.lately import Lately, Ring, Sample, lately, outcomes_of, sampled
from strangler.evidence.model import Evidence, Kept, PairEvidence, RouteEvidence, Served, Sighting
from strangler.evidence.observation import Example, Observation, Outcome, Probe, Releases, example
from strangler.evidence.pairs import RouteLatency, RouteReleases, latency_view, releases_view
from strangler.evidence.rates import Rate
from strangler.evidence.reading import read, read_outcomes, read_served
from strangler.evidence.recorded import Recorded, can_be_asked, examples_of, read_recorded, within
from strangler.evidence.render import render_changes, render_report
from strangler.evidence.report import RouteFacts, build, fingerprint, timestamp
from strangler.evidence.schema import StoreError, size_of
from strangler.evidence.shape import (
    FingerprintDetail,
    FullExample,
    LineEntry,
    RampEntry,
    Report,
    RequestText,
    RouteReport,
    RuleTexts,
)
from strangler.evidence.step import Check, Seen, StepGate, StepVerdict, alarm, duration, judge_step
from strangler.evidence.store import Store
from strangler.evidence.tally import Histogram, Tally
from strangler.evidence.verdict import Gate, Verdict, judge, number, percent
from strangler.evidence.views import Comparison, changes_view, worse_for_certain
from strangler.evidence.window import Snapshot, extracted_rate, legacy_rate, seen_since, snapshot
from strangler.evidence.words import noise_lines

__all__ = [
    "Acceptance",
    "Change",
    "Changes",
    "Check",
    "Comparison",
    "Evidence",
    "Example",
    "FingerprintDetail",
    "FullExample",
    "Gate",
    "Histogram",
    "Judged",
    "Kept",
    "Lately",
    "LineEntry",
    "Observation",
    "Outcome",
    "PairEvidence",
    "Probe",
    "RampEntry",
    "Rate",
    "Recorded",
    "Releases",
    "Report",
    "ReportError",
    "RequestText",
    "Ring",
    "RouteChange",
    "RouteEvidence",
    "RouteFacts",
    "RouteLatency",
    "RouteReleases",
    "RouteReport",
    "RuleTexts",
    "Sample",
    "Seen",
    "Served",
    "Sighting",
    "Snapshot",
    "Standing",
    "StepGate",
    "StepVerdict",
    "Store",
    "StoreError",
    "Tally",
    "Verdict",
    "alarm",
    "build",
    "can_be_asked",
    "changes_view",
    "compare_reports",
    "duration",
    "example",
    "examples_of",
    "extracted_rate",
    "fingerprint",
    "html",
    "judge",
    "judge_step",
    "judged",
    "junit",
    "lately",
    "latency_view",
    "legacy_rate",
    "markdown",
    "noise_lines",
    "number",
    "outcomes_of",
    "percent",
    "read",
    "read_outcomes",
    "read_recorded",
    "read_report",
    "read_served",
    "releases_view",
    "render_changes",
    "render_report",
    "sampled",
    "seen_since",
    "size_of",
    "snapshot",
    "timestamp",
    "within",
    "worse_for_certain",
]
