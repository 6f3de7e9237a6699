"""What a report says, in words: the same in every format. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from strangler.evidence.shape import FingerprintEntry, NoiseEntry, RouteReport, Traffic
from strangler.evidence.verdict import number, percent


class Shown(NamedTuple):
    """One example: what was asked, and the value at the fingerprint's place on each side."""

    target: str
    legacy: str
    extracted: str


def facts(route: RouteReport) -> list[tuple[str, str]]:
    """What is known of a route, as (label, sentence). Without traffic only its stage."""
    coverage, rate, outcomes = route["coverage"], route["match_rate"], route["outcomes"]
    parts = f"share {route['share']:g} %, shadow {route['shadow']:g} %"
    rows = [("stage", f"{route['stage']} ({parts}, taken over by {route['extracted']})")]
    if not coverage["eligible"]:
        return rows
    releases = route["releases"]
    rows.append(
        (
            "releases",
            f"legacy {releases['legacy'] or 'unknown'}, extracted {releases['extracted'] or 'unknown'}",
        )
    )
    skipped = listed(coverage["skipped"].items())
    compared = f"{number(coverage['compared'])} of {number(coverage['eligible'])} eligible compared"
    rows.append(("coverage", compared + (f"; skipped: {skipped}" if skipped else "")))
    counts = [
        ("match", outcomes["match"]),
        ("noise", outcomes["noise"]),
        ("accepted", outcomes["accepted"]),
        ("transient", outcomes["transient"]),
        ("mismatch", outcomes["mismatch"]),
    ]
    rows.append(("outcomes", listed(counts) or "none"))
    interval = f"between {rate_shown(rate['low'])} and {rate_shown(rate['high'], up=True)}"
    sure = f"(confidence {rate_shown(rate['confidence'])})"
    rows.append(("match rate", f"{rate_shown(rate['estimate'])}, {interval} {sure}"))
    differing = [
        (f"{met['legacy']}→{met['extracted']}", met["count"])
        for met in route["status"]
        if met["legacy"] != met["extracted"]
    ]
    if differing:
        rows.append(("status", listed(differing)))
    return rows + [(label, text) for label, text in _standing(route) if text]


def _callers(traffic: Traffic) -> str:
    """Whom each side answered, and whom the legacy side answered in the other's place."""
    said = []
    for name, side in (("legacy", traffic["legacy"]), ("extracted", traffic["extracted"])):
        if side["requests"]:
            errors = f", {number(side['errors'])} in error" if side["errors"] else ""
            said.append(f"{name} {number(side['requests'])}{errors}")
    extracted = traffic["extracted"]
    if instead := extracted["fallback"] + extracted["rerouted"]:
        said.append(
            f"legacy in the extracted side's place {number(instead)}"
            f" (failed {number(extracted['fallback'])}, out of order {number(extracted['rerouted'])})"
        )
    if extracted["refused"]:
        said.append(f"refused, since too many fell back at once, {number(extracted['refused'])}")
    return "; ".join(said)


def _standing(route: RouteReport) -> Iterator[tuple[str, str]]:
    """What stands behind the outcomes, where a report says so."""
    if (in_file := route.get("file_share")) is not None:
        yield "share", f"{route['share']:g}%; routes.yaml could not be told, and still says {in_file:g}%"
    if traffic := route.get("traffic"):
        yield "callers", _callers(traffic)
    if ramp := route.get("ramp"):
        yield "ramp", f"{ramp['verdict']}; {ramp['waits']}"
    if distinct := route.get("distinct"):
        yield "distinct", listed([("requests", distinct["requests"]), ("callers", distinct["callers"])])
    if transient := route.get("transient"):
        slowest = transient["settled_ms"]["p99"]
        within = f" (within {slowest / 1000:.1f} s)" if slowest is not None else ""
        gone = [
            (each["path"] or f"the {each['kind']}", each["count"]) for each in transient["fingerprints"][:5]
        ]
        yield "gone when asked again", listed(gone) + (within if gone else "")
    yield "noise", "; ".join(noise_lines(route.get("noise", ())))
    yield (
        "accepted",
        "; ".join(
            f"{each['fingerprint']} {'until' if not each['expired'] else 'expired after'} {each['until']}"
            f" ({each['reason']}): {number(each['count'])}"
            for each in route.get("accepted", ())
        ),
    )
    rules = route.get("rules", ())
    yield "rules at work", listed((each["rule"], each["count"]) for each in rules)
    yield "rules without work", ", ".join(each["rule"] for each in rules if not each["count"])


#: What a finding says of a field; `noise` is the one that counts.
_FINDINGS = {
    "noise": "noise",
    "told_apart": "not noise: the sides differ more often than one side from itself",
    "not_scalar": "not noise: not always two values of one type",
    "too_few": "may be noise: too few probes differ",
    "refused": "noise, but routes.yaml says exact",
    "never_alone": "not noise",
}


def noise_lines(entries: Iterable[NoiseEntry]) -> list[str]:
    """What is known of each field that differs by itself, and why it counts as noise or does not."""
    return [_noise(each) for each in entries]


def _noise(each: NoiseEntry) -> str:
    kind = f" {each['type']}" if each["type"] else ""
    both, itself, sides = each["both"], each["itself"], each["sides"]
    return (
        f"{each['path']}{kind}: {_FINDINGS[each['finding']]} (of {number(each['probes'])} probes, one side differed "
        f"from itself in {number(both + itself)}, from the other in {number(both + sides)}; p = {each['chance']:.2g})"
    )


def seen(entry: FingerprintEntry) -> str:
    """How often a fingerprint was seen: `30 × (2.5 %), 12 requests, 4 callers`; and what it counts as."""
    text = f"{number(entry['count'])} ×"
    if "share" in entry:
        text += f" ({rate_shown(entry['share'])})"
    different = listed([("requests", entry.get("requests", 0)), ("callers", entry.get("callers", 0))])
    outcome = entry.get("outcome", "mismatch")
    return ", ".join(part for part in (text, different, "" if outcome == "mismatch" else outcome) if part)


def summary(route: RouteReport) -> tuple[str, str, str, str, str, str, str]:
    """A route in one line: route, stage, share, verdict, matching, compared, differences."""
    coverage = route["coverage"]
    return (
        route["route"],
        route["stage"],
        f"{route['share']:g} %",
        route["verdict"],
        rate_shown(route["match_rate"]["estimate"]),
        f"{number(coverage['compared'])}/{number(coverage['eligible'])}",
        number(len(route["fingerprints"])),
    )


#: The longest text from a report that is shown at all; our own reports stay far below.
TEXT_LIMIT = 4096
#: The columns of `latency`.
LATENCY = ("latency in ms", "p50", "p90", "p99")
#: The columns of `summary`.
SUMMARY = ("route", "stage", "share", "verdict", "matching", "compared", "differences")


def latency(route: RouteReport) -> list[tuple[str, str, str, str]]:
    """Side, p50, p90, p99 in milliseconds; nothing when nothing was measured."""
    sides = route["latency_ms"]
    if sides["legacy"]["p50"] is None:
        return []
    rows = [
        (side, _milliseconds(found["p50"]), _milliseconds(found["p90"]), _milliseconds(found["p99"]))
        for side, found in (("legacy", sides["legacy"]), ("extracted", sides["extracted"]))
    ]
    if (apart := sides.get("difference")) and apart["p50"] is not None:
        low, high = _signed(apart["low"]), _signed(apart["high"])
        rows.append(("extracted takes longer by", _signed(apart["p50"]), f"between {low}", f"and {high}"))
    return rows


def place(entry: FingerprintEntry) -> str:
    """Where a fingerprint is: its path, or the part of the answer that differs as a whole."""
    return entry["path"] or f"the {entry['where']}"


def example(entry: FingerprintEntry) -> Shown:
    """The first example of a fingerprint (docs/report.md: three lines); empty when none is kept."""
    lines = entry["examples"][0].split("\n") if entry["examples"] else []
    if len(lines) != 3:
        return Shown("", "", "")
    return Shown(lines[0], lines[1].removeprefix("legacy: "), lines[2].removeprefix("extracted: "))


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """`match 1 100, mismatch 30`: the counts above zero."""
    return ", ".join(f"{name} {number(count)}" for name, count in counts if count)


def rate_shown(share: float | None, *, up: bool = False) -> str:
    """A rate in percent, `-` where there is none."""
    return "-" if share is None else percent(share, up=up)


def _signed(value: float | None) -> str:
    return "?" if value is None else f"{value:+.1f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
