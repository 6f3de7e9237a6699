"""The events, their versions, and how the newer ones are told to those who know the older ones only. Pure.

There is one version of each so far.
"""

from collections.abc import Mapping
from typing import Any

#: Every event that is told here, and its newest version.
NEWEST: Mapping[str, int] = {
    "PaymentTaken": 1,
    "PaymentRefunded": 1,
}


def no_newer_than(wanted: int, kind: str, version: int, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Give an event's version and data for somebody who knows versions up to `wanted`."""
    return version, data
