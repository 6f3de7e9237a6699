"""What is odd about the comparison rules of a table that has no fault."""

from __future__ import annotations

from datetime import date

from strangler.compare import Said, advise, expired
from strangler.routes import Fault, Table


def advice_on(table: Table, today: date) -> list[Fault]:
    """What is odd about the comparison rules of a table without faults, at the places where they stand."""
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
    return sorted(found, key=lambda fault: (fault.line, fault.column))
