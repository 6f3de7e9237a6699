"""What to tell somebody about rules: what is wrong with one, and what is no fault and yet not what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from strangler.compare.expression import expression_fault
from strangler.compare.headers import NOT_COMPARED
from strangler.compare.machine import FREE, State
from strangler.compare.rules import compile_rules, path_steps
from strangler.compare.rules import fault as rule_fault


@dataclass(frozen=True, slots=True)
class Said:
    """One rule as it was said: the key it stands under (`ignore`), its place (`$.a`), and how (`2s`)."""

    key: str
    place: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is odd about one rule, in one sentence."""

    rule: Said
    message: str


def fault(kind: str, place: str, how: str = "") -> str | None:
    """What is wrong with one rule, in one line; None when it is fine.

    `how` is keyed's member, a tolerance, or, of the kind `bridge`, an expression.
    """
    return expression_fault(how) if kind == "bridge" else rule_fault(kind, place, how)


def advise(rules: Sequence[Said]) -> list[Advice]:
    """Rules that can never match, and rules that hide everything. All of them are without a fault."""
    return [Advice(rule, message) for rule in rules if (message := _oddity(rule, rules))]


def expired(until: date, today: date) -> str:
    """What to say of a fingerprint that was accepted until a day; nothing while it is."""
    return f"was accepted until {until}: it counts as a mismatch again" if until < today else ""


def _oddity(rule: Said, rules: Sequence[Said]) -> str:
    if rule.place.startswith("header:"):
        return next(_of_header(rule, rules), "")
    return next(_of_path(rule, rules), "") if rule.place.startswith("$") else ""


def _of_header(rule: Said, rules: Sequence[Said]) -> Iterator[str]:
    name = rule.place.removeprefix("header:").lower()
    if name in NOT_COMPARED and rule.key != "redact":
        yield f"can never match: {name} is never compared (docs/report.md)"
    if rule.key in {"unordered", "tolerance", "exact"} and _has(rules, "ignore", rule.place):
        yield "can never match: the header is ignored"
    only = [other.place for other in rules if other.key == "only"]
    if rule.key in {"ignore", "unordered", "tolerance"} and only and rule.place not in only:
        yield "can never match: the header is not under `only`"
    if rule.key == "tolerance" and _has(rules, "unordered", rule.place):
        yield "can never match: the header is compared as a set (unordered)"


def _of_path(rule: Said, rules: Sequence[Said]) -> Iterator[str]:
    steps = path_steps(rule.place) or ()
    if rule.key == "ignore" and not steps:
        yield "hides everything: no body of this route is compared"
    if rule.key in {"redact", "only"}:
        return
    others = [other.place for other in rules if other.key == "ignore" and other != rule]
    wider = [place for place in others if _covers(compile_rules([place]).body, rule)]
    if wider:
        yield f"can never match: what is at it is ignored by {wider[0]}"
    only = [other.place for other in rules if other.key == "only"]
    listed = compile_rules(only=only)
    if only and (listed.only is None or _is_off(listed.only, rule)):
        yield "can never match: it is not under `only`"


def _has(rules: Sequence[Said], key: str, place: str) -> bool:
    return any(rule.key == key and rule.place.lower() == place.lower() for rule in rules)


def _covers(state: State, rule: Said) -> bool:
    """Whether all that a rule names is ignored in `state`. What it names at any depth is taken to be elsewhere."""
    for step in path_steps(rule.place) or ():
        if state.ignored_by:
            break
        if step.anywhere:
            return False
        state = state.index if step.name is None else state.member(step.name)
    return bool(state.ignored_by)


def _is_off(state: State, rule: Said) -> bool:
    """Whether an allow-list (whose machine calls ignored what is on it) has nothing at a place, or below it."""
    for step in path_steps(rule.place) or ():
        if state.ignored_by or step.anywhere:
            return False
        state = state.index if step.name is None else state.member(step.name)
    return state is FREE
