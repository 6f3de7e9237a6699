"""The events, their versions, and how the newer ones are told to those who know the older ones only. Pure.

`StockChanged` 1 says by how much a level has changed; 2 says why, too, and what the level is now.
"""

from collections.abc import Mapping
from typing import Any

#: Every event that is told here, and its newest version.
NEWEST: Mapping[str, int] = {
    "StockChanged": 2,
}


def no_newer_than(wanted: int, kind: str, version: int, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Give an event's version and data for somebody who knows versions up to `wanted`."""
    if kind == "StockChanged" and version == 2 and wanted == 1:
        return 1, {"sku": data["sku"], "warehouse": data["warehouse"], **data["change"]}
    return version, data
