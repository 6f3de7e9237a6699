"""What is odd about the comparison rules and the ramps of a table that has no fault."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from strangler.compare import Said, advise, expired
from strangler.routes import SAFE_METHODS, Fault, Route, Table


def advice_on(table: Table, today: date) -> list[Fault]:
    """What is odd about the rules and ramps of a table without faults, at the places where they stand."""
    found = []
    for route in table.routes:
        rules = route.compare
        how = dict([*rules.keyed, *rules.tolerance])
        said = {Said(at.key, at.place, how.get(at.place, "")): at for at in rules.places}
        for advice in advise(list(said)):
            at = said[advice.rule]
            message = f"route {route.name}: {at.key} {at.place} {advice.message}"
            found.append(Fault(at.line, at.column, message))
        found.extend(
            Fault(each.line, each.column, f"route {route.name}: {each.fingerprint} {message}")
            for each in rules.accept
            if (message := expired(each.until, today))
        )
        found.extend(_ramp(route))
    return sorted(found, key=lambda fault: (fault.line, fault.column))


def _ramp(route: Route) -> Iterator[Fault]:
    """A ramp that can never take a step."""
    if route.ramp is None or route.ramp.match is None:
        return
    methods = route.match.methods
    writes = methods is not None and not methods & SAFE_METHODS and route.shadow_writes == "never"
    if route.shadow and not writes:
        return
    why = (
        "its methods are never copied (shadow_writes: never)"
        if route.shadow
        else "nothing is copied (shadow: 0%)"
    )
    message = f"route {route.name}: ramp cannot prove a match rate, since {why}; write `match: none` to go by errors"
    yield Fault(route.line, 1, message)
