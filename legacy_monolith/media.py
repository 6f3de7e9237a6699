"""Which form of an answer a caller would rather have (RFC 9110 section 12.5.1). Pure."""

import re

_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)


def prefers(accept: str, kind: str) -> bool:
    """Say whether an Accept field asks for a kind, such as `text/csv`, rather than for JSON.

    It has to be named: `*/*` is what programs send that take what there is.
    """
    weights = dict(_weight(part) for part in accept.lower().split(","))
    others = max(weights.get(name, 0.0) for name in ("application/json", "application/*"))
    return weights.get(kind, 0.0) > others


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if found := _QUALITY.fullmatch(parameter):
            return name, float(found[1])
    return name, 1.0
