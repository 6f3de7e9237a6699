"""What routes.yaml says of differences that were found: noise that is none, and what the team lives with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from strangler.compare import compile_rules, rule_text
from strangler.evidence import Acceptance, Standing, judged, read
from strangler.routes import CompareRules, Table

#: The evidence's file in the state folder.
EVIDENCE = "evidence.sqlite3"


def explained(table: Table, state_dir: Path) -> dict[str, frozenset[str]]:
    """Per route the fingerprints that are noise, or accepted, by now. Raises evidence.StoreError."""
    evidence = read(state_dir / EVIDENCE, bodies=False)
    today = datetime.fromtimestamp(time.time(), UTC).date()
    found: dict[str, frozenset[str]] = {}
    for route in table.routes:
        if route.name in evidence:
            known = judged(evidence[route.name].current, standing(route.compare), today)
            found[route.name] = frozenset(
                name for name, outcome in known.outcome_of.items() if outcome != "mismatch"
            )
    return found


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
