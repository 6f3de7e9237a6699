"""What a change would do, said before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.cutover.question import Question, question
from strangler.evidence import PairEvidence, Releases, RouteEvidence, RouteFacts, RouteReport, Tally, build
from strangler.routes import WHOLE, Route, parse, parse_percent

TEXT = """\
version: 1
upstreams: {old: {url: "http://a"}, new: {url: "http://b"}}
legacy: old
routes: [{name: pay, match: GET /pay, extracted: new, share: 25%}]
"""


def route(share: str = "25%") -> Route:
    text = TEXT.replace("25%", share)
    return parse(text.encode(), file="r", check_rule=lambda *rule: None).routes[0]


def report(callers: int = 0, match: int = 0, mismatch: int = 0, **more: Any) -> RouteReport:
    tally = Tally()
    tally.outcomes.update(match=match, mismatch=mismatch)
    for number in range(callers):
        tally.callers.add(number + 1)
    evidence = RouteEvidence("pay", (PairEvidence(Releases("a", "b"), tally),))
    facts = RouteFacts("pay", "cutover", 25.0, 100.0, "new")
    [found] = build([facts], {"pay": evidence}, 1_700_000_000.0)["routes"]
    return cast(RouteReport, {**found, **more})


def ramp(verdict: str, said: Iterable[str]) -> dict[str, Any]:
    checks = [{"check": "match", "verdict": verdict, "said": each, "wait_seconds": None} for each in said]
    return {"steps": [5.0, 50.0], "next": 50.0, "verdict": verdict, "waits": "", "checks": checks}


def asked(to: str, found: RouteReport, share: str = "25%") -> Question:
    return question(route(share), found, parse_percent(to))


def test_a_share_that_rises() -> None:
    assert asked("50%", report(callers=208, match=5_000)) == {
        "route": "pay",
        "from": 25.0,
        "to": 50.0,
        "callers_seen": 208,
        "callers_moving": 52,
        "direction": "up",
        "verdict": "pass",
        "reasons": ["match rate is at least 99.904 % (confidence 95 %), the gate asks 99.9 %"],
        "ramp": None,
        "asks_twice": False,
        "why": "About 52 of 208 callers seen move to the extracted side. The evidence passes.",
    }


@pytest.mark.parametrize(
    ("to", "found", "moving", "twice", "why"),
    [
        (
            "5%",
            report(callers=208, match=5_000),
            42,
            False,
            "About 42 of 208 callers seen move back to the legacy side. The evidence passes.",
        ),
        (
            "25%",
            report(callers=208, match=5_000),
            0,
            False,
            "They stay where they are: the share is 25 % already.",
        ),
        (
            "30%",
            report(callers=20, mismatch=40),
            1,
            True,
            "About 1 of 20 callers seen moves to the extracted side. The evidence fails: match rate is at most",
        ),
        (
            "0%",
            report(callers=20, mismatch=40),
            5,
            False,
            "About 5 of 20 callers seen move back to the legacy side. The evidence fails: match rate is at most",
        ),
        (
            "25.001%",
            report(callers=200, match=9),
            0,
            True,
            "Hardly any of 200 callers seen move to the extracted side. The evidence is inconclusive: match rate",
        ),
        (
            "100%",
            report(),
            None,
            True,
            "How many callers move to the extracted side is not known: none have been seen. Nothing has been"
            " compared yet.",
        ),
    ],
)
def test_in_words(to: str, found: RouteReport, moving: int | None, twice: bool, why: str) -> None:
    told = asked(to, found)
    assert (told["callers_moving"], told["asks_twice"]) == (moving, twice)
    assert told["why"].startswith(why)
    assert told["why"].endswith(".")


def test_everybody_moves() -> None:
    told = asked("100%", report(callers=200, match=1), share="0%")
    assert told["callers_moving"] == 200
    assert told["why"].startswith("All callers seen, 200, move to the extracted side.")


def test_the_ramp_has_the_word_where_there_is_one() -> None:
    bad = report(callers=20, mismatch=40, ramp=ramp("pass", ["held for 10 minutes"]))
    told = asked("50%", bad)
    assert (told["verdict"], told["asks_twice"], told["reasons"]) == ("pass", False, ["held for 10 minutes"])
    assert told["ramp"] is not None
    good = report(callers=20, match=9_000, ramp=ramp("inconclusive", ["it holds for 5 minutes more", "x"]))
    told = asked("50%", good)
    assert told["asks_twice"]
    assert told["why"].endswith("The evidence is inconclusive: it holds for 5 minutes more.")


@given(
    st.integers(0, WHOLE),
    st.integers(0, WHOLE),
    st.integers(0, 200),
    st.sampled_from([(0, 0), (9_000, 0), (9, 0), (0, 40)]),
)
def test_never_more_move_than_were_seen(share: int, to: int, callers: int, seen: tuple[int, int]) -> None:
    known = route()
    known = type(known)(name="pay", match=known.match, extracted="new", share=share)
    told = question(known, report(callers, *seen), to)
    assert told["direction"] == ("none" if to == share else "up" if to > share else "down")
    assert (told["callers_moving"] is None) == (callers == 0)
    if told["callers_moving"] is not None:
        assert abs(told["callers_moving"] - callers * abs(to - share) / WHOLE) <= 0.5
    assert told["asks_twice"] == (to > share and told["verdict"] != "pass")
    assert ("passes" in told["why"]) == (told["verdict"] == "pass" and to != share)
