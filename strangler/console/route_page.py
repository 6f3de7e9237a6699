"""The page of one route: what differs, how much was seen, how long answers take. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from strangler.cutover.definition import claims
from strangler.evidence import Releases, noise_lines
from strangler.evidence.shape import StatusPair
from strangler.routes import Route

#: Four buckets of 4 % become one step of a chart: 17 %, about twenty steps for ten times the latency.
_COARSE: Final = 4

#: Why exchanges are skipped, for people. docs/report.md has them all.
WHY_SKIPPED: Final = {
    "pending": "under way right now",
    "observer_restart": "the observer went away with it",
    "worker_lost": "a gateway worker went away with it",
    "store_full": "the evidence could not be written fast enough, or at all",
    "store_error": "the evidence would not take it",
    "too_complex": "more than a comparison may cost",
    "content_encoding": "a coding that cannot be undone",
    "duplicate_key": "a JSON object with one name twice",
    "number_range": "a number that does not fit",
    "queue_full": "it came faster than it could be handed over",
    "observer_down": "there was no observer to hand it to",
    "bridge_failed": "compare.bridge could not be applied",
    "write_not_marked": "it may change something, and the route does not say shadow_writes: marked",
    "request_cut": "the answer came before the request was whole",
    "body_too_large": "a body too long to keep a copy of",
    "streaming": "an answer without an end",
    "no_answer": "there is no whole answer to compare with",
    "caller_left": "the caller left before the answer was whole",
    "shadow_timeout": "the shadow had no answer in time",
    "shadow_unreachable": "the shadow could not be asked",
    "shadow_broken": "the shadow's answer was not whole",
    "shadow_busy": "too many shadows were waiting already",
    "route_gone": "routes.yaml has lost the route meanwhile",
    "observer_failed": "a fault of this program: see its log",
}


def route_page(
    route: Route,
    seen: Mapping[str, Any],
    latency: Mapping[str, Any],
    at: str,
    *,
    paused: bool,
    seen_at: Mapping[str, Sequence[Releases]],
) -> dict[str, Any]:
    """What the page shows of a route, out of its report entry and its latencies.

    `paused`: somebody has said so. `seen_at`: which pairs of releases showed a fingerprint.
    """
    ramp = seen.get("ramp")
    return {
        "name": route.name,
        "match": claims(route),
        "extracted": route.extracted,
        "has_ramp": route.ramp is not None,
        "stands_still": paused or bool(ramp and ramp["held"]),
        "seen": seen,
        "seen_at": seen_at,
        "ramp": ramp,
        "matrix": matrix(seen["status"]),
        "latencies": [
            ("callers", "What callers waited for the head of an answer", distribution(latency["callers"])),
            (
                "compared",
                "The same requests on both sides, answers as a whole",
                distribution(latency["compared"]),
            ),
        ],
        "noise": noise_lines(seen.get("noise", ())),
        "why_skipped": WHY_SKIPPED,
        "at": at,
    }


def matrix(pairs: Sequence[StatusPair]) -> dict[str, Any]:
    """Which status of the legacy side met which of the extracted side: rows by legacy, columns by extracted."""
    counts = Counter({(pair["legacy"], pair["extracted"]): pair["count"] for pair in pairs})
    columns = sorted({extracted for _, extracted in counts})
    return {
        "columns": columns,
        "rows": [
            (legacy, [(column, counts[legacy, column]) for column in columns])
            for legacy in sorted({legacy for legacy, _ in counts})
        ],
    }


def distribution(sides: Mapping[str, Sequence[tuple[float, int]]]) -> dict[str, Any]:
    """Both sides' latencies as a chart takes them: upper ends of steps in ms, and each side's percent of requests in
    each step; None where a side has no requests at all."""
    edges = sorted({upper for side in sides.values() for upper, _ in side})
    steps = _steps(edges)
    drawn: dict[str, list[float | None]] = {}
    quantiles = []
    for name in ("legacy", "extracted"):
        buckets = sides[name]
        total = sum(count for _, count in buckets)
        sums: Counter[float] = Counter()
        for upper, count in buckets:
            sums[next(step for step in steps if step >= upper)] += count
        drawn[name] = [round(100 * sums[step] / total, 3) if total else None for step in steps]
        times = [_quantile(buckets, total, share) for share in (0.5, 0.9, 0.99)]
        quantiles.append((name, {"times": times, "requests": total}))
    return {"x": steps, **drawn, "quantiles": quantiles}


def _steps(edges: Sequence[float]) -> list[float]:
    """Fewer edges, from the lowest to the highest, each 17 % above the last, with nothing left out between them."""
    if not edges:
        return []
    growth = (1.02 / 0.98) ** _COARSE
    steps = [edges[0] / growth, edges[0]]
    while steps[-1] < edges[-1]:
        steps.append(steps[-1] * growth)
    return [float(f"{step:.6g}") * (1 + 1e-9) for step in steps]


def _quantile(buckets: Iterable[tuple[float, int]], total: int, share: float) -> float | None:
    rank = share * total
    for upper, count in buckets:
        rank -= count
        if rank <= 0 and total:
            return upper
    return None
