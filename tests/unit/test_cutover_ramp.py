"""The ramp of one route: evidence and time go in, and out comes what should be moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as changed

import msgspec
import pytest

from strangler.cutover.ramp import Look, Order, Stand, carried_out, gate_of, look
from strangler.evidence import PairEvidence, Releases, RouteEvidence, Standing, Tally
from strangler.routes import Ramp, Route, parse

TEXT = b"""
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes:
  - {name: r, match: "GET /r/{id}", extracted: new, share: 0%, shadow: 100%, ramp: {steps: [1%, 10%, 100%], hold: 60s}}
"""
ROUTE = parse(TEXT, file="r", check_rule=lambda *rule: None).routes[0]
NOTHING = Standing()


@dataclass
class Story:
    """A route whose ramp is looked at again and again."""

    route: Route = ROUTE
    now: float = 1_000_000.0
    stand: Stand | None = None
    order: Order | None = None
    release: str = "v1"
    tallies: dict[str, Tally] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)

    @property
    def evidence(self) -> RouteEvidence | None:
        order = [name for name in self.tallies if name != self.release] + [self.release]
        pairs = [
            PairEvidence(Releases("shop", name), self.tallies[name]) for name in order if name in self.tallies
        ]
        return RouteEvidence("r", tuple(pairs)) if pairs else None

    def traffic(self, pairs: int, *, mismatches: int = 0, errors: int = 0, slow: bool = False) -> None:
        """So many exchanges, all compared."""
        tally = self.tallies.setdefault(self.release, Tally(since=self.now))
        tally.outcomes["match"] += pairs - mismatches
        tally.outcomes["mismatch"] += mismatches
        tally.traffic["legacy_2xx"] += pairs
        tally.traffic["shadow_extracted_ok"] += pairs - errors
        tally.traffic["fallback"] += errors
        for number in range(pairs):
            tally.legacy_wait_ms.add(10.0 + number % 100)
            tally.extracted_wait_ms.add((10.0 + number % 100) * (3 if slow else 1))
        for number in range(40):
            for sketch in (tally.requests, tally.callers, tally.recent_requests, tally.recent_callers):
                sketch.add(number + 1)

    def look(self, after: float = 1.0, *, carry_out: bool = True, out: bool | None = None) -> Look:
        self.now += after
        ramp = self.route.ramp
        assert ramp is not None
        found = look(self.route, ramp, self.evidence, self.stand, self.order, NOTHING, self.now, out)
        self.stand = msgspec.json.decode(msgspec.json.encode(found.stand), type=Stand)  # as it is kept
        assert self.stand == found.stand
        if found.move is not None and carry_out:
            self.stand = carried_out(self.stand, found.move, self.evidence, self.now)
            self.route = changed(self.route, share=found.move.to)
        self.looks.append(found)
        return found

    def climb(self, share: int) -> None:
        """Good traffic until the share is reached."""
        for _ in range(10):
            self.traffic(30_000)
            self.look(61)
            if self.route.share == share:
                return
        raise AssertionError(self.looks[-1])

    def set(self, share: int) -> None:
        """Somebody edits the file."""
        self.route = changed(self.route, share=share)


@pytest.fixture
def story() -> Story:
    return Story()


def test_it_climbs_step_by_step_on_evidence_of_each(story: Story) -> None:
    assert story.look().move is None
    assert "nothing has been compared yet" in " ".join(check.said for check in story.looks[-1].verdict.checks)
    story.climb(1_000)
    found = story.look()
    assert found.move is None, "what earned the step before earns no other"
    assert found.seen.tally.pairs == 0
    story.climb(10_000)
    story.climb(100_000)
    assert story.look(100_000).waits == "the ramp is finished"


def test_what_the_shadow_has_shown_before_counts_for_the_first_step(story: Story) -> None:
    story.traffic(30_000)
    story.now += 600
    assert story.look().move is not None


def test_the_hold_is_held(story: Story) -> None:
    story.climb(1_000)
    story.traffic(30_000)
    found = story.look(59)
    assert found.move is None
    assert found.waits == "for 10%: the step is held for 1 s more"
    assert story.look(1).move is not None


def test_a_route_that_nobody_asks_waits_for_ever(story: Story) -> None:
    for _ in range(100):
        assert story.look(3600).move is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"errors": 200}, "errors: 200 of"),
        ({"mismatches": 200}, "match rate is at most"),
        ({"slow": True}, "p99: "),
    ],
)
def test_it_falls_back_at_once_and_stays(story: Story, bad: dict[str, int], says: str) -> None:
    story.climb(10_000)
    story.traffic(4_000, **bad)
    found = story.look()
    assert found.move is not None
    assert (found.move.to, found.move.kind) == (0, "rollback")
    assert says in found.move.why
    for _ in range(20):
        story.traffic(30_000)
        assert story.look(600).move is None
    assert story.route.share == 0
    assert story.looks[-1].waits.endswith("until a new release or `strangler ramp resume r`")


def test_a_good_month_does_not_hide_a_bad_minute(story: Story) -> None:
    story.climb(100_000)
    for _ in range(40):
        story.traffic(20_000)
        assert story.look(3600 * 18).move is None
    story.traffic(1_500, errors=100)  # of 800 000 since the step began: too few to see in all of it
    found = story.look(60)
    assert found.move is not None
    assert "(in " in found.move.why


def test_a_new_release_says_otherwise(story: Story) -> None:
    story.climb(10_000)
    story.traffic(4_000, errors=200)
    story.look()
    story.release = "v2"
    story.traffic(100)
    assert story.look().stand.held is not None, "perhaps it only answers by turns with the one before"
    story.traffic(100)
    assert story.look(29).stand.held is not None
    assert story.look(1).stand.held is None
    story.climb(1_000)


@pytest.mark.parametrize(("a_second", "errors"), [(10, 1), (100, 2)])
def test_errors_are_seen_while_two_releases_answer_by_turns(story: Story, a_second: int, errors: int) -> None:
    """As they do in the middle of a deployment: no step lasts for more than a second."""
    story.climb(10_000)
    for number in range(90):
        story.release = f"v{number % 2 + 1}"
        story.traffic(a_second, errors=errors)
        if story.look().move is not None:
            break
    assert story.route.share == 0
    assert "(in " in str(story.looks[-1].move)


def test_releases_by_turns_are_no_reason(story: Story) -> None:
    story.climb(10_000)
    for number in range(300):
        story.release = f"v{number % 2 + 1}"
        story.traffic(100)
        assert story.look().move is None
    assert len(story.looks[-1].stand.earlier) == 2
    ages = [story.now - mark.at for mark in story.looks[-1].stand.earlier]
    assert 30 <= ages[0] <= 61
    story.climb(100_000)


@pytest.mark.parametrize("last", ["v1", "v2"])
@pytest.mark.parametrize("turns", [2, 3])
def test_a_release_that_answered_by_turns_is_no_new_one(story: Story, turns: int, last: str) -> None:
    """Which of the two it was that failed is not known, so neither gets the callers back."""
    story.climb(10_000)
    story.traffic(1_000)
    story.look(600)
    for number in range(turns + 1):
        story.release = f"v{number % 2 + 1}"
        story.traffic(100, errors=90 if number == turns else 0)
        story.look()
    assert story.route.share == 0
    for number in range(10):
        story.release = f"v{number % 2 + 1}"
        story.traffic(100)
        story.look()
    story.release = last
    for _ in range(5):
        story.traffic(30_000)
        assert story.look(61).move is None
    story.release = "v3"
    story.climb(1_000)


def test_what_one_release_has_earned_is_not_anothers(story: Story) -> None:
    story.climb(10_000)
    story.traffic(30_000)
    story.release = "v2"
    story.traffic(10)
    found = story.look(61)
    assert found.move is None
    assert found.begun
    assert found.seen.tally.pairs <= 10


def test_what_one_service_has_earned_is_not_anothers(story: Story) -> None:
    """Also when neither of them says a release."""
    story.release = ""
    story.climb(10_000)
    story.traffic(30_000)
    story.route = changed(story.route, extracted="newer")
    found = story.look(61)
    assert (found.move, found.begun, found.seen.tally.pairs) == (None, True, 0)
    story.climb(100_000)


def test_an_answer_without_a_release_is_no_new_release(story: Story) -> None:
    """An error page of somebody else's does not set free what was rolled back."""
    story.climb(10_000)
    story.traffic(4_000, errors=200)
    story.look()
    assert story.route.share == 0
    for release in ("", "v1", ""):
        story.release = release
        for _ in range(3):
            story.traffic(30_000)
            assert story.look(600).move is None
    assert story.stand is not None
    assert story.stand.held is not None


def test_errors_that_came_with_a_new_release_are_not_forgotten(story: Story) -> None:
    """Its first answer that was compared comes after the errors that callers met meanwhile."""
    story.climb(10_000)
    story.traffic(1_000)
    story.look()
    story.tallies["v1"].traffic["fallback"] += 60
    story.release = "v2"
    story.traffic(50)
    found = story.look()
    assert found.begun
    assert found.move is not None
    assert (found.move.to, found.move.kind) == (0, "rollback")
    assert "errors: 60 of" in found.move.why


def test_mismatches_of_another_release_are_no_reason(story: Story) -> None:
    story.climb(10_000)
    story.traffic(1_000)
    story.look()
    story.tallies["v1"].outcomes["mismatch"] += 500
    story.release = "v2"
    story.traffic(50)
    assert story.look().move is None


def test_a_person_says_otherwise(story: Story) -> None:
    story.climb(10_000)
    story.traffic(4_000, errors=200)
    story.look()
    story.order = Order(False, story.now + 1, "me")
    assert story.look(2).stand.held is None
    story.climb(1_000)


def test_a_share_that_was_lowered_by_hand_stays(story: Story) -> None:
    story.climb(10_000)
    story.set(1_000)
    for release in ("v1", "v2"):
        story.release = release
        for _ in range(5):
            story.traffic(30_000)
            assert story.look(600).move is None
    assert "the share was lowered by hand" in story.looks[-1].waits
    story.set(10_000)
    assert story.look().stand.held is None, "raised again, it goes on"
    story.climb(100_000)


@pytest.mark.parametrize("ramp", [ROUTE.ramp, changed(ROUTE.ramp, errors=None)])  # type: ignore[type-var]
def test_no_share_goes_to_a_side_that_has_died_after_a_good_week(story: Story, ramp: Ramp) -> None:
    """Of all that was copied since the step began, what it failed in the end is next to nothing."""
    story.route = changed(story.route, ramp=ramp)
    story.order = Order(True, story.now, "me")
    story.traffic(1_000_000)
    for _ in range(20):
        story.tallies["v1"].traffic.update({"legacy_2xx": 25, "shadow_extracted_failed": 25})
        story.look(30)
    story.order = Order(False, story.now, "me", "go on")
    assert story.look(1).move is None
    assert "errors: 0 of 0 and 50 copies without an answer on the extracted side" in story.looks[-1].waits
    for _ in range(5):
        assert story.look(61).move is None
    assert story.looks[-1].waits == "for 1%: no answer of the extracted side in the last 61 s"
    story.order = None
    for _ in range(3):
        story.traffic(30_000)
        story.look(61)
    assert story.route.share > 0, "it answers again"


def test_no_share_goes_to_a_side_that_is_out_of_order(story: Story) -> None:
    story.traffic(30_000)
    assert story.look(61, out=True).move is None
    assert story.look().waits == "for 1%: the extracted side is out of order", "as it was when last known"
    assert story.look(out=False).move is not None


def test_a_pause_stops_the_climb_and_not_the_fall(story: Story) -> None:
    story.climb(1_000)
    story.order = Order(True, story.now, "me", "release day")
    for _ in range(3):
        story.traffic(30_000)
        assert story.look(600).move is None
    assert story.looks[-1].waits == "paused by me: release day"
    story.traffic(4_000, errors=300)
    found = story.look()
    assert found.move is not None
    assert found.move.kind == "rollback"


def test_back_to_the_last_good_step(story: Story) -> None:
    assert ROUTE.ramp is not None
    story.route = changed(ROUTE, ramp=changed(ROUTE.ramp, back="step"))
    story.climb(100_000)
    story.traffic(4_000, errors=300)
    story.look()
    assert story.route.share == 10_000
    story.traffic(4_000, errors=300)
    story.look()
    assert story.route.share == 0, "it was not good there either"


def test_a_step_that_was_never_passed_is_no_good_step(story: Story) -> None:
    assert ROUTE.ramp is not None
    story.route = changed(ROUTE, ramp=changed(ROUTE.ramp, back="step"), share=10_000)
    story.look()
    story.traffic(4_000, errors=300)
    story.look()
    assert story.route.share == 0


def test_nothing_is_taken_back_from_nobody(story: Story) -> None:
    story.traffic(4_000, errors=300, mismatches=300)
    found = story.look(600)
    assert (found.move, found.verdict.verdict) == (None, "fail")


def test_windows_are_few_and_their_numbers_only_grow(story: Story) -> None:
    story.climb(1_000)
    numbers = []
    story.order = Order(True, story.now, "me")
    for _ in range(200):
        story.look(61)
        assert story.stand is not None
        numbers.append(max(mark.number for mark in story.stand.marks))
        assert len(story.stand.marks) <= 6
        assert len({mark.number for mark in story.stand.marks}) == len(story.stand.marks)
    assert numbers == sorted(numbers)
    assert numbers[-1] > 150
    ages = [story.now - mark.at for mark in story.stand.marks] if story.stand else []
    assert ages[0] > 10 * ages[2], "old ones far apart, new ones close"


def test_requests_asked_follow_the_path() -> None:
    fixed = TEXT.replace(b"/r/{id}", b"/r")
    route = parse(fixed, file="r", check_rule=lambda *rule: None).routes[0]
    assert gate_of(route, Ramp()).requests == 1
    assert gate_of(ROUTE, Ramp()).requests == 20
    assert gate_of(route, Ramp(requests=7)).requests == 7
