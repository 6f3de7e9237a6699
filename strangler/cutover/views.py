"""The past as the command and the admin API show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict

from strangler.cutover.past import Known
from strangler.routes import WHOLE, Stage, parse_percent


class PastRoute(TypedDict):
    """A route as it stood. `definition` is that of then, None when the ledger does not know; shares as in the file."""

    route: str
    definition: str | None
    stage: Stage
    share: str
    shadow: str


class PastView(TypedDict):
    """The table as it stood at a moment (ISO 8601), after the entry of that number."""

    at: str
    entry: int
    routes: list[PastRoute]


def past_view(routes: Mapping[str, Known], at: datetime, number: int) -> PastView:
    """The table as it stood at a moment; `number` is that of the last entry until then."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "at": moment,
        "entry": number,
        "routes": [
            {
                "route": name,
                "definition": known.definition,
                "stage": _stage(known),
                "share": known.share or "0%",
                "shadow": known.shadow or "0%",
            }
            for name, known in sorted(routes.items())
        ],
    }


def _stage(known: Known) -> Stage:
    share, shadow = parse_percent(known.share or "0%"), parse_percent(known.shadow or "0%")
    if share:
        return "extracted" if share == WHOLE else "cutover"
    return "shadow" if shadow else "legacy"
