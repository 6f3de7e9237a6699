"""Every endpoint of the admin API: what it is asked, and what it answers. One entry each; pages have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypedDict

from strangler.console.changes import GoBack, SetShares, SteerRamp
from strangler.console.views import ChangesView, HistoryView, OneRoute, TableView
from strangler.cutover.progress import Progress
from strangler.cutover.question import Question
from strangler.cutover.views import PastView
from strangler.evidence import Comparison, FingerprintDetail, Lately, Report, RouteLatency, RouteReleases

#: The problems of a change.
_CHANGING: Final = (400, 404, 409, 413, 503)


class Health(TypedDict):
    """Whether the process lives."""

    status: Literal["ok"]


class TwoReports(TypedDict):
    """Two reports, of `strangler report --json` or of this API."""

    before: Report
    after: Report


class Readiness(TypedDict):
    """Whether the process observes."""

    status: Literal["ready", "not ready"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that is asked for: a part of the path, which must be there, or of the query. Text, as a rule."""

    name: str
    text: str
    place: Literal["path", "query"] = "query"
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method at one path.

    `answers` has the type of the JSON that is answered, or several, by status; `media` stands there instead where it is
    no JSON. `body` is the type of the JSON that is sent, `body_required` says whether it must be. `problems` are the
    statuses of the problems that it tells, beyond those of every endpoint. `is_open`: nobody needs a token.
    """

    method: Literal["get", "patch", "post"]
    path: str
    summary: str
    answers: Mapping[int, Any] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    body_required: bool = True
    problems: tuple[int, ...] = ()
    is_open: bool = False


_NAME: Final = Parameter("name", "the name of a route", "path", required=True)
_LEGACY: Final = Parameter("legacy", "a release of the legacy side; with `extracted`")
_EXTRACTED: Final = Parameter("extracted", "a release of the extracted side; with `legacy`")

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("get", "/healthz", "Whether the process lives", {200: Health}, is_open=True),
    Endpoint(
        "get", "/readyz", "Whether the process observes", {200: Readiness, 503: Readiness}, is_open=True
    ),
    Endpoint("get", "/metrics", "All metrics, for Prometheus", media=("text/plain",)),
    Endpoint("get", "/api/v1/openapi.json", "This document", {200: dict[str, Any]}),
    Endpoint("get", "/api/v1/routes", "The running table", {200: TableView}),
    Endpoint(
        "get",
        "/api/v1/routes/{name}",
        "One route of the running table",
        {200: OneRoute},
        parameters=(_NAME,),
        problems=(404,),
    ),
    Endpoint(
        "get",
        "/api/v1/routes/{name}/question",
        "What it would do to set a share",
        {200: Question},
        parameters=(_NAME, Parameter("share", "a percentage such as `25%`", required=True)),
        problems=(400, 404, 503),
    ),
    Endpoint(
        "patch",
        "/api/v1/routes/{name}",
        "Set the share of a route, its shadow, or both",
        {200: ChangesView},
        parameters=(_NAME,),
        body=SetShares,
        problems=_CHANGING,
    ),
    Endpoint(
        "post",
        "/api/v1/routes/{name}/rollback",
        "Give callers of a route back to the legacy side",
        {200: ChangesView},
        parameters=(_NAME,),
        body=GoBack,
        body_required=False,
        problems=_CHANGING,
    ),
    Endpoint(
        "post",
        "/api/v1/routes/{name}/ramp",
        "Pause the ramp of a route, let it go on, or skip a gate",
        {200: ChangesView},
        parameters=(_NAME,),
        body=SteerRamp,
        problems=_CHANGING,
    ),
    Endpoint("get", "/api/v1/lately", "The last minute and the last hour", {200: Lately}),
    Endpoint("get", "/api/v1/progress", "How far the whole migration is", {200: Progress}, problems=(503,)),
    Endpoint("get", "/api/v1/report", "The report on all routes", {200: Report}, problems=(503,)),
    Endpoint(
        "get",
        "/api/v1/report/{name}",
        "The report on one route, perhaps at releases of the past",
        {200: Report},
        parameters=(_NAME, _LEGACY, _EXTRACTED),
        problems=(400, 404, 503),
    ),
    Endpoint(
        "get",
        "/api/v1/releases/{name}",
        "The pairs of releases that there is evidence of",
        {200: RouteReleases},
        parameters=(_NAME,),
        problems=(404, 503),
    ),
    Endpoint(
        "get",
        "/api/v1/latency/{name}",
        "The latencies of a route as distributions",
        {200: RouteLatency},
        parameters=(_NAME,),
        problems=(404, 503),
    ),
    Endpoint(
        "get",
        "/api/v1/fingerprints/{id}",
        "One kind of difference, with its examples in full",
        {200: FingerprintDetail},
        parameters=(Parameter("id", "the id of a fingerprint", "path", required=True),),
        problems=(404, 503),
    ),
    Endpoint(
        "post",
        "/api/v1/compare",
        "What became of every difference from one report to another",
        {200: Comparison},
        body=TwoReports,
        problems=(400, 413),
    ),
    Endpoint(
        "get",
        "/api/v1/diagram",
        "The running table as a picture",
        media=("text/plain", "image/svg+xml"),
        parameters=(Parameter("format", "how it is drawn", choices=("mermaid", "svg")),),
        problems=(400,),
    ),
    Endpoint(
        "get",
        "/api/v1/history",
        "The ledger; with `at`, the table as it stood then",
        {200: (HistoryView, PastView)},
        parameters=(
            Parameter("route", "only the entries of this route"),
            Parameter("at", "a moment such as `2026-11-24T14:05`, in UTC unless it says otherwise"),
        ),
        problems=(400, 503),
    ),
    Endpoint(
        "get",
        "/api/v1/events",
        "What changes, as server-sent events",
        media=("text/event-stream",),
        problems=(503,),
    ),
)
