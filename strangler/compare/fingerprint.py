"""The stable identity of one kind of difference.

The recipe, which other programs may rely on (vectors: tests/cases/fingerprints.json): take the seven strings
route, method, where, path, kind, class on the legacy side, class on the extracted side; write them as a JSON
array without spaces, everything outside ASCII escaped as `\\uXXXX`; the fingerprint is the first 16 hex
digits of the SHA-256 of that text. Example values are not part of it.
"""

from __future__ import annotations

import hashlib
import json

from strangler.compare.difference import Difference


def fingerprint(route: str, method: str, difference: Difference) -> str:
    """16 hex digits, the same on every machine and in every run."""
    parts = [
        route,
        method,
        difference.where,
        difference.path,
        difference.kind,
        difference.legacy,
        difference.extracted,
    ]
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
