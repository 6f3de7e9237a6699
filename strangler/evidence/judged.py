"""Evidence, seen through what is known by now: which differences are noise, and which the team has accepted. Pure.

What was recorded stays as it was: that two answers differed, in what, and how far. Whether that is noise is asked of
all the evidence each time somebody reads it. So what is learned late holds for what was seen early, and what is
refused or expires is a mismatch again at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, NamedTuple

from strangler.compare import Difference, Drift, FieldTally, Finding, State, explains, findings, is_covered
from strangler.evidence.model import PairEvidence, Sighting
from strangler.evidence.observation import Outcome

#: In the place of what there were too many combinations of.
UNLISTED: Final = "?"


class Member(NamedTuple):
    """One difference of a pair of answers: its fingerprint, its drift, and whether it was gone when asked again."""

    id: str
    drift: Drift | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A fingerprint that a team has decided to live with, up to and including the day `until`."""

    fingerprint: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Standing:
    """What routes.yaml says of a route's differences. `exact` is the machine of the paths that are never noise."""

    accepted: Sequence[Acceptance] = ()
    exact: State | None = None
    exact_headers: frozenset[str] = frozenset()
    rules: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair of releases with its outcomes as they stand. `outcome_of` says of a fingerprint what it counts as."""

    pair: PairEvidence
    found: Mapping[str, Finding] = field(default_factory=dict)
    outcome_of: Mapping[str, Outcome] = field(default_factory=dict)
    expired: tuple[Acceptance, ...] = ()


def write_members(members: Sequence[Member]) -> str:
    """The members of a combination as one text, the same for the same members."""
    return " ".join(sorted(_written(member) for member in members))


def judged(pair: PairEvidence, standing: Standing, today: date) -> Judged:
    """The evidence of one pair of releases with noise and accepted told from mismatch."""
    valid = {each.fingerprint for each in standing.accepted if each.until >= today}
    expired = tuple(each for each in standing.accepted if each.until < today)
    refused = frozenset(seen.id for seen in pair.sightings if _is_exact(seen.difference, standing))
    found = findings(pair.fields, refused)
    noise = {name: pair.fields[name] for name, finding in found.items() if finding == "noise"}
    outcomes = Counter(pair.tally.outcomes)
    unexplained: set[str] = set()
    for text, count in pair.combinations.items():
        outcome = _outcome(text, valid, noise)
        if outcome == "mismatch" and text != UNLISTED:
            # A field may be noise nearly always, and wrong now and then.
            unexplained.update(
                each.id
                for each in _members(text)
                if not each.gone and _explained(each, valid, noise) == "mismatch"
            )
        outcomes["mismatch"] -= count
        outcomes[outcome] += count
    outcome_of: dict[str, Outcome] = {}
    for seen in pair.sightings:
        outcome_of[seen.id] = "mismatch" if seen.id in unexplained else _standing_of(seen, valid, noise)
    return Judged(replace(pair, tally=replace(pair.tally, outcomes=outcomes)), found, outcome_of, expired)


def _written(member: Member) -> str:
    drift = f":{member.drift.type}:{member.drift.size}" if member.drift else ""
    return f"{'~' if member.gone else ''}{member.id}{drift}"


def _read(text: str) -> Member:
    name, _, drift = text.removeprefix("~").partition(":")
    kind, _, size = drift.partition(":")
    return Member(name, Drift(kind, int(size)) if kind else None, text.startswith("~"))


def _members(text: str) -> list[Member]:
    return [_read(word) for word in text.split()]


def _outcome(text: str, accepted: set[str], noise: Mapping[str, FieldTally]) -> Outcome:
    if text == UNLISTED:
        return "mismatch"
    members = _members(text)
    explained: list[tuple[Member, Outcome]] = [(each, _explained(each, accepted, noise)) for each in members]
    outcomes = {outcome for member, outcome in explained if not member.gone}
    if "mismatch" in outcomes:
        return "mismatch"
    if any(member.gone and outcome == "mismatch" for member, outcome in explained):
        return "transient"
    return "noise" if "noise" in outcomes else "accepted"


def _explained(member: Member, accepted: set[str], noise: Mapping[str, FieldTally]) -> Outcome:
    if member.id in accepted:
        return "accepted"
    tally = noise.get(member.id)
    return "noise" if tally and member.drift and explains(tally, member.drift) else "mismatch"


def _standing_of(seen: Sighting, accepted: set[str], noise: Mapping[str, FieldTally]) -> Outcome:
    if seen.id in accepted:
        return "accepted"
    return "noise" if seen.id in noise else "mismatch"


def _is_exact(difference: Difference, standing: Standing) -> bool:
    if difference.where == "header":
        return difference.path in standing.exact_headers
    if difference.where != "body" or standing.exact is None:
        return False
    try:
        return is_covered(standing.exact, difference.path)
    except ValueError:  # a path that was cut: nobody can say that it is not meant
        return True
