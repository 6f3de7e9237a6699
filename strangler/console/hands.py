"""Changing a route on its page: first a question that says what the change would do, then the change, and the ledger's
entry as the answer. What the evidence does not support is asked about twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from strangler.console import looks
from strangler.console.changes import Deed, carried_out, ordering, rolling_back, setting
from strangler.console.forms import read_form
from strangler.console.live import around
from strangler.console.panel import PANEL, Panel
from strangler.console.problems import Refusal
from strangler.cutover import BadValue, CutoverError, ledger, settled_value
from strangler.cutover.question import question
from strangler.cutover.ramp import next_step
from strangler.cutover.report import asked_for
from strangler.routes import CannotEdit, Faults, Route, format_percent, parse_percent


@dataclass(frozen=True, slots=True)
class _Deed:
    """What can be done: the title of its page, the words on its button, and whether a value is asked for."""

    title: str
    button: str
    value: bool = False
    said: str = ""


_DEEDS: Final = {
    "share": _Deed("Change the share", "Set the share to {to}", value=True),
    "shadow": _Deed("Change the shadow", "Set the shadow to {to}", value=True),
    "rollback": _Deed("Roll back", "Roll back to {to}", value=True),
    "pause": _Deed(
        "Pause the ramp",
        "Pause the ramp",
        said="It takes no further step until somebody lets it go on. It still falls back when something is worse.",
    ),
    "resume": _Deed("Let the ramp go on", "Let the ramp go on", said="The evidence of its step begins anew."),
    "skip": _Deed("Skip the gate", "Go to {to} now"),
}


async def ask(request: web.Request) -> web.Response:
    """The page with the question. Nothing is changed by it."""
    return await _page(request, _wanted(request.query.get("do", "share")), request.query.get("to", ""))


async def make(request: web.Request) -> web.Response:
    """The change. Its answer is the page of the ledger's entry."""
    form = (await read_form(request)).fields
    do, to, why = form.get("do", "share"), form.get("to", ""), form.get("why", "").strip()
    wanted = _wanted(do)
    panel, name = request.app[PANEL], request.match_info["name"]
    try:
        found = await asyncio.to_thread(_question, panel, name, do, to)
        if found.asks_twice and (form.get("sure") != "yes" or not why):
            return await _page(request, wanted, to, why=why, again=True)
        entries = await carried_out(request, _deed(do, found.to), "console", why)
    except (CutoverError, CannotEdit, Faults) as error:
        return await _page(request, wanted, to, why=why, wrong=str(error), status=409)
    if not entries:
        return looks.go_to(f"/routes/{looks.segment(name)}")
    told = await asyncio.to_thread(ledger.read, panel.state)
    number = next(n for n, each in enumerate(told.entries, start=1) if each.hash == entries[-1].hash)
    return looks.go_to(f"/history/{number}")


def _wanted(do: str) -> str:
    if do not in _DEEDS:
        raise Refusal(404, f"what can be done is: {', '.join(_DEEDS)}")
    return do


def _deed(do: str, to: str) -> Deed:
    if do == "share":
        return setting({"share": to})
    if do == "shadow":
        return setting({"shadow": to})
    return rolling_back(to) if do == "rollback" else ordering(do)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as the page asks it. `to` is a percentage as it is written, "" where none is asked for."""

    to: str
    said: str
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    asks_twice: bool = False


def _question(panel: Panel, name: str, do: str, to: str) -> _Asked:
    """What a deed would do. Raises BadValue for one that cannot be done."""
    (route,) = asked_for(panel.table(), name)
    if do in ("pause", "resume"):
        if route.ramp is None:
            raise BadValue(f"{name} has no ramp")
        return _Asked("", _DEEDS[do].said)
    if do == "shadow":
        wanted = _percentage(to)
        return _Asked(wanted, _shadow_said(route, wanted))
    wanted = _target(route, do, to)
    found = question(route, panel.report(name)["routes"][0], parse_percent(wanted))
    if do == "rollback" and found["direction"] == "up":
        raise BadValue(f"{name} is at {format_percent(route.share)}: a rollback only lowers a share")
    # Why it says so begins with the first reason.
    return _Asked(wanted, found["why"], found["verdict"], tuple(found["reasons"][1:]), found["asks_twice"])


def _target(route: Route, do: str, to: str) -> str:
    if do == "skip":
        above = None if route.ramp is None else next_step(route.ramp, route.share)
        if above is None:
            raise BadValue(f"the ramp of {route.name} has no further step")
        return format_percent(above)
    return _percentage(to or ("0%" if do == "rollback" else ""))


def _percentage(typed: str) -> str:
    """What somebody has typed into the field: `25` is meant as `25%`. Raises BadValue."""
    bare = typed.strip()
    return settled_value(bare if bare.endswith("%") else f"{bare}%")


def _shadow_said(route: Route, to: str) -> str:
    said = f"{to} of the requests that may be copied are copied to the side that does not answer."
    if parse_percent(to) == 0:
        return f"Nothing is copied any more, so nothing new is seen of {route.name}. No caller notices."
    return f"{said} No caller notices."


async def _page(
    request: web.Request,
    do: str,
    to: str,
    *,
    why: str = "",
    again: bool = False,
    wrong: str = "",
    status: int = 200,
) -> web.Response:
    panel, name = request.app[PANEL], request.match_info["name"]
    deed = _DEEDS[do]
    (route,) = asked_for(panel.table(), name)
    found: _Asked | None = None
    if not wrong and (to or not deed.value or do == "rollback"):
        try:
            found = await asyncio.to_thread(_question, panel, name, do, to)
        except CutoverError as error:
            wrong, status = str(error), 400
    values: Mapping[str, Any] = {
        **around(request),
        "name": name,
        "do": do,
        "to": to if found is None else found.to,
        "title": deed.title,
        "button": deed.button.format(to=found.to if found else ""),
        "asks_value": deed.value,
        "steps": [step / 1000 for step in route.ramp.steps] if route.ramp else [1, 5, 25, 50, 100],
        "question": found,
        "again": again,
        "why": why,
        "wrong": wrong,
    }
    return looks.whole("change.html", values, status)
