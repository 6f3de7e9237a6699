"""Evidence as it is read: per route, per pair of releases, with fingerprints and their examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from strangler.compare import Difference, FieldTally
from strangler.evidence.observation import Releases
from strangler.evidence.tally import Tally, total


@dataclass(frozen=True, slots=True)
class Kept:
    """One example of a fingerprint: the values at its path, and the beginning of both bodies.

    The bodies are "" when the evidence was read without them.
    """

    at: float
    method: str
    target: str
    legacy_value: str
    extracted_value: str
    legacy_body: str
    extracted_body: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One fingerprint at one pair of releases: how often it was seen, and when (Unix seconds).

    `gone`: how often it was no more when both sides were asked again, which is not in `count`. `requests` and
    `callers` are how many different ones showed it.
    """

    id: str
    method: str
    difference: Difference
    count: int
    first_seen: float
    last_seen: float
    examples: tuple[Kept, ...] = ()
    gone: int = 0
    requests: int = 0
    callers: int = 0


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Everything observed about a route at one pair of releases.

    `unlisted` counts differences seen after the route had as many fingerprints as are kept. `combinations`: which
    differences came together, as `judged.write_members` writes them, in how many of the mismatches. `fields`: what
    was found of each fingerprint when the side that answered was asked twice.
    """

    releases: Releases
    tally: Tally
    sightings: tuple[Sighting, ...] = ()
    unlisted: int = 0
    combinations: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, FieldTally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteEvidence:
    """All pairs of releases of a route, in the order in which they were last current: never empty."""

    route: str
    pairs: tuple[PairEvidence, ...]

    @property
    def current(self) -> PairEvidence:
        """The pair of releases that is answering now."""
        return self.pairs[-1]

    def at(self, releases: Releases) -> RouteEvidence | None:
        """The evidence at one pair of releases only, as if it were the current one; None when there is none."""
        found = next((pair for pair in self.pairs if pair.releases == releases), None)
        return None if found is None else RouteEvidence(self.route, (found,))

    @property
    def total(self) -> Tally:
        """The whole coverage ledger of the route, over all pairs of releases."""
        return total(pair.tally for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class Served:
    """How many requests of a route a side was asked in an hour (of Unix time). `name`: legacy, extracted, or
    shadow_legacy for copies. Route "" is what no route claims."""

    hour: int
    route: str
    name: str
    count: int


#: Route name -> its evidence. A route that nothing is known of is not in it.
Evidence = Mapping[str, RouteEvidence]
