"""Evidence as it is read: per route, per pair of releases, with fingerprints and their examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from strangler.compare import Difference
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
    """One fingerprint at one pair of releases: how often it was seen, and when (Unix seconds)."""

    id: str
    method: str
    difference: Difference
    count: int
    first_seen: float
    last_seen: float
    examples: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Everything observed about a route at one pair of releases.

    `unlisted` counts differences seen after the route had as many fingerprints as are kept.
    """

    releases: Releases
    tally: Tally
    sightings: tuple[Sighting, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class RouteEvidence:
    """All pairs of releases of a route, in the order in which they were last current: never empty."""

    route: str
    pairs: tuple[PairEvidence, ...]

    @property
    def current(self) -> PairEvidence:
        """The pair of releases that is answering now."""
        return self.pairs[-1]

    @property
    def total(self) -> Tally:
        """The whole coverage ledger of the route, over all pairs of releases."""
        return total(pair.tally for pair in self.pairs)


#: Route name -> its evidence. A route that nothing is known of is not in it.
Evidence = Mapping[str, RouteEvidence]
