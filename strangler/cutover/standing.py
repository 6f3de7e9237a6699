"""What routes.yaml says of differences that were found: noise that is none, and what the team lives with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from strangler.compare import compile_rules, rule_text
from strangler.evidence import Acceptance, Judged, Standing, judged, read_outcomes
from strangler.routes import CompareRules, Table

#: The evidence's file in the state folder.
EVIDENCE = "evidence.sqlite3"


def judged_now(table: Table, state_dir: Path, now: float) -> dict[str, list[Judged]]:
    """The outcomes of every route that there is evidence of, as they stand at `now` (Unix time): one for each pair of
    releases, the current one last. Raises evidence.StoreError."""
    today = datetime.fromtimestamp(now, UTC).date()
    rules = {route.name: route.compare for route in table.routes}
    found: dict[str, list[Judged]] = {}
    for name, evidence in read_outcomes(state_dir / EVIDENCE).items():
        differs = any(pair.sightings for pair in evidence.pairs)
        known = standing(rules[name]) if differs and name in rules else Standing()
        found[name] = [judged(pair, known, today) for pair in evidence.pairs]
    return found


def explained(known: Mapping[str, Sequence[Judged]]) -> dict[str, frozenset[str]]:
    """Per route the fingerprints that are noise, or accepted, at its current pair of releases."""
    return {
        name: frozenset(each for each, outcome in pairs[-1].outcome_of.items() if outcome != "mismatch")
        for name, pairs in known.items()
    }


def standing(rules: CompareRules) -> Standing:
    """What a route's rules say of differences that were found: accepted, never noise; and all the rules by name."""
    exact = compile_rules(rules.exact)
    return Standing(
        accepted=[Acceptance(each.fingerprint, each.reason, each.until) for each in rules.accept],
        exact=exact.body,
        exact_headers=frozenset(exact.headers.ignored),
        rules=[
            *(rule_text("ignore", place) for place in rules.ignore),
            *(rule_text("only", place) for place in rules.only if place.startswith("$")),
            *(rule_text("unordered", place) for place in rules.unordered),
            *(rule_text("keyed", *each) for each in rules.keyed),
            *(rule_text("tolerance", *each) for each in rules.tolerance),
        ],
    )
