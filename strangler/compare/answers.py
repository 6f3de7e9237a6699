"""Two answers to one request: are they the same?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from strangler.compare.body import json_differences
from strangler.compare.difference import Difference, Incomparable, Kind
from strangler.compare.document import PARSED, Document, decode
from strangler.compare.headers import header, header_differences
from strangler.compare.redact import Redactor
from strangler.compare.rules import Rules


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it came from a side: the headers decoded as latin-1, the body with its content coding."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Comparison(NamedTuple):
    """What a comparison found. `used` names the rules without which there would have been more."""

    differences: tuple[Difference, ...]
    used: frozenset[str] = frozenset()


def _never() -> bool:
    return False


def compare(
    legacy: Answered,
    extracted: Answered,
    rules: Rules,
    redactor: Redactor,
    overdue: Callable[[], bool] = _never,
) -> Comparison:
    """Everything in which the extracted side's answer differs from the legacy side's, each kind once.

    The values shown are redacted, and so are names in paths that are secrets themselves. `overdue` is asked from
    time to time whether the pair has taken too long.

    Raises Incomparable with a reason when the bodies cannot be compared and nothing else differs.
    """
    differences: list[Difference] = []
    used: set[str] = set()
    if legacy.status != extracted.status and rules.status_ignored_by:
        used.add(rules.status_ignored_by)
    elif legacy.status != extracted.status:
        differences.append(_status(legacy.status, extracted.status))
        if legacy.status // 100 != extracted.status // 100:
            # A page of data and a page of error differ in everything. That is one difference, not fifty.
            return Comparison(tuple(differences))
    differences += header_differences(legacy.headers, extracted.headers, rules.headers, redactor.header, used)
    if _same_bytes(legacy, extracted):
        pass
    elif rules.body.ignored_by:
        used.update(rules.body.ignored_by)
    else:
        try:
            ours, theirs = decode(legacy.headers, legacy.body), decode(extracted.headers, extracted.body)
            found, needed = _bodies(ours, theirs, rules, redactor, overdue)
            differences += found
            used |= needed
        except Incomparable:
            if not differences:  # a difference already known is never hidden behind a skip
                raise
    return Comparison(tuple(differences), frozenset(used))


def _status(legacy: int, extracted: int) -> Difference:
    return Difference("status", "", "status", str(legacy), str(extracted), str(legacy), str(extracted))


def _same_bytes(legacy: Answered, extracted: Answered) -> bool:
    return legacy.body == extracted.body and _coding(legacy) == _coding(extracted)


def _coding(answered: Answered) -> str:
    return header(answered.headers, "content-encoding").lower()


def _bodies(
    legacy: Document, extracted: Document, rules: Rules, redactor: Redactor, overdue: Callable[[], bool]
) -> tuple[list[Difference], set[str]]:
    if legacy.form == extracted.form and legacy.form in PARSED:
        booleans = legacy.form != "json" or _has_booleans(legacy.content) or _has_booleans(extracted.content)
        return json_differences(legacy.value, extracted.value, rules, redactor, overdue, booleans=booleans)
    if legacy.content == extracted.content:
        return [], set()
    kind: Kind = "value" if legacy.form == extracted.form else "encoding"
    whole = Difference(
        where="body",
        path="",
        kind=kind,
        legacy=legacy.form,
        extracted=extracted.form,
        legacy_value=_shown(legacy, redactor),
        extracted_value=_shown(extracted, redactor),
    )
    return [whole], set()


def _has_booleans(content: bytes) -> bool:
    """Whether there may be one: the words may also stand in a string."""
    return b"true" in content or b"false" in content


def _shown(document: Document, redactor: Redactor) -> str:
    digest = redactor.digest(document.content)
    size = len(document.content)
    return f"{size} byte{'' if size == 1 else 's'}, {document.form}, hash {digest}"
