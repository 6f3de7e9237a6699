"""What stands under `ramp:` of a route: the steps its share climbs by itself, and what each of them asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar, cast

from strangler.routes.model import WHOLE, Percent, Ramp
from strangler.routes.nodes import Node
from strangler.routes.reader import Reader, Shape
from strangler.routes.units import (
    format_percent,
    or_none,
    parse_count,
    parse_duration,
    parse_factor,
    parse_percent,
)

_RAMP = Shape(
    "ramp",
    ("steps", "hold", "match", "errors", "p99", "coverage", "requests", "callers", "back"),
)
#: No ramp needs more, and each is a table taken into force.
_MOST_STEPS = 100
_MOST_DISTINCT = 10_000

_DEFAULT = Ramp()
_T = TypeVar("_T")


def read_ramp(reader: Reader, node: Node) -> Ramp:
    """The ramp of one route; defaults stand where nothing is said and where there was a fault."""
    fields = reader.fields(node, _RAMP)
    count = partial(parse_count, least=1, most=_MOST_DISTINCT)

    def told(key: str, convert: Callable[[str], _T], default: _T | None) -> _T | None:
        """As `optional`, but what is converted to None is None."""
        return reader.value(fields[key], key, or_none(convert)) if key in fields else default

    return Ramp(
        steps=_read_steps(reader, fields["steps"]) if "steps" in fields else _DEFAULT.steps,
        hold=reader.optional(fields, "hold", parse_duration, _DEFAULT.hold),
        match=told("match", _rate_to_prove, _DEFAULT.match),
        errors=told("errors", _rate, _DEFAULT.errors),
        p99=told("p99", parse_factor, _DEFAULT.p99),
        coverage=reader.optional(fields, "coverage", _rate, _DEFAULT.coverage),
        requests=reader.optional(fields, "requests", count, _DEFAULT.requests),
        callers=reader.optional(fields, "callers", count, _DEFAULT.callers),
        back=reader.optional(fields, "back", _parse_back, _DEFAULT.back),
    )


def _read_steps(reader: Reader, node: Node) -> tuple[Percent, ...]:
    items = reader.items(node, "steps")
    steps: list[Percent] = []
    for item in items:
        step = reader.value(item, "step", parse_percent)
        if step is None:
            continue
        if step == 0:
            reader.fault(item, "a ramp starts at the share that there is; its first step is above 0%")
        elif steps and step <= steps[-1]:
            before = format_percent(steps[-1])
            reader.fault(item, f"steps go up: {format_percent(step)} stands after {before}")
        else:
            steps.append(step)
    if not items:
        reader.fault(node, "steps is empty; write the shares to climb, such as [1%, 5%, 25%, 50%, 100%]")
    if len(items) > _MOST_STEPS:
        reader.fault(node, f"a ramp has {_MOST_STEPS} steps at most")
    return tuple(steps)


def _rate(text: str) -> float:
    return parse_percent(text) / WHOLE


def _rate_to_prove(text: str) -> float:
    rate = _rate(text)
    if not 0 < rate < 1:
        raise ValueError("no number of pairs proves that; write a rate between, such as 99.9%")
    return rate


def _parse_back(text: str) -> Literal["zero", "step"]:
    if text not in {"zero", "step"}:
        raise ValueError("write zero, or step for the last good one")
    return cast(Literal["zero", "step"], text)
