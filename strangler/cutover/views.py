"""The past as the command and the admin API show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from strangler.cutover.past import Known
from strangler.routes import WHOLE, parse_percent


def past_view(routes: Mapping[str, Known], at: datetime, number: int) -> dict[str, Any]:
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


def _stage(known: Known) -> str:
    share, shadow = parse_percent(known.share or "0%"), parse_percent(known.shadow or "0%")
    if share:
        return "extracted" if share == WHOLE else "cutover"
    return "shadow" if shadow else "legacy"
