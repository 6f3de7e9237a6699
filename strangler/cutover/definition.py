"""A route in one line, as the ledger has it: what it claims, who takes it over, and what else is said of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Final

from strangler.routes import WHOLE, HeaderEdits, Route, format_percent

#: What a definition does not tell as a setting: it begins with some, others are changes of their own.
_APART: Final = frozenset({"name", "match", "extracted", "share", "shadow", "line"})
#: Counted in thousandths of a percent, from 0 to 1, and in seconds.
_PERCENT: Final = frozenset({"noise", "steps"})
_RATES: Final = frozenset({"match", "errors", "coverage"})
_SECONDS: Final = frozenset({"hold", "confirm"})


def definition(route: Route) -> str:
    """`GET /payments/{id} -> payments; fallback true; ramp (hold 60s)`: every setting that is not as it is by default.

    Of headers the names alone: a value may be a secret, and the ledger is kept for ever.
    """
    return "; ".join([f"{claims(route)} -> {route.extracted}", *_settings(route, _APART)])


def claims(route: Route) -> str:
    """What a route claims, in one line: `GET /payments/{id} host shop.example.com with x-beta: 1`."""
    match = route.match
    methods = ",".join(sorted(match.methods)) + " " if match.methods is not None else ""
    host = f" host {match.host}" if match.host else ""
    more = [f"{name}: {value}" for name, value in match.headers] + [
        f"{name}={value}" for name, value in match.query
    ]
    return f"{methods}{match.path.text}{host}{' with ' + ', '.join(more) if more else ''}"


def _settings(thing: Any, apart: Collection[str] = ()) -> Iterator[str]:
    """What is said otherwise than by default, in the order in which it is always told."""
    kind: Any = type(thing)
    for name, usual in _defaults(kind):
        value = getattr(thing, name)
        if value != usual and name not in apart:
            yield f"{name} {_said(name, value)}".rstrip()


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (each.name, each.default if each.default_factory is MISSING else each.default_factory())
        for each in fields(kind)
        if each.compare
    )


def _said(name: str, value: Any) -> str:
    if isinstance(value, HeaderEdits):
        return " ".join(
            [*(f"+{header}" for header, _ in value.set), *(f"-{header}" for header in value.remove)]
        )
    if is_dataclass(value):
        inner = ", ".join(_settings(value))
        return f"({inner})" if inner else ""
    if isinstance(value, tuple):
        return " ".join(_said(name, each) for each in value)
    return _plain(name, value)


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _RATES:
        return format_percent(round(value * WHOLE))
    if name in _PERCENT:
        return format_percent(value)
    return f"{value:g}s" if name in _SECONDS else str(value)
