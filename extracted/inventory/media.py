"""Which form of an answer a caller wants (RFC 9110 section 12.5.1). Pure."""

import re

_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)


def wants_page(accept: str) -> bool:
    """Say whether an Accept field asks for HTML rather than for JSON. `*/*` alone does not: programs send that."""
    weights = dict(_weight(part) for part in accept.lower().split(","))
    json = max(weights.get(name, 0.0) for name in ("application/json", "application/*"))
    return weights.get("text/html", 0.0) > json


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    qualities = (_QUALITY.fullmatch(parameter) for parameter in parameters)
    return name, next((float(found[1]) for found in qualities if found), 1.0)
