"""Changes of a route, by the API and by pages: the file edited in a thread, the ledger's entries given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec
from aiohttp import web

from strangler.console.panel import PANEL, Panel
from strangler.console.problems import Refusal
from strangler.console.views import ChangesView, entry_view, route_view
from strangler.cutover import (
    BadValue,
    Entry,
    change,
    check_why,
    roll_back,
    set_order,
    settled_value,
    skip_gate,
)
from strangler.cutover.file import LONGEST_REASON, Edited
from strangler.cutover.report import asked_for, verdict_line

#: As a body has them: a percentage as in routes.yaml, and a reason on one line.
Share = Annotated[
    str, msgspec.Meta(pattern=r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$", examples=["25%"])
]
Why = Annotated[str, msgspec.Meta(max_length=LONGEST_REASON)]


class SetShares(TypedDict, total=False):
    """What to set: the share, the shadow, or both."""

    share: Share
    shadow: Share
    why: Why


class GoBack(TypedDict, total=False):
    """Where to: a lower share, or the number of an entry of the ledger; to 0 % without."""

    to: str
    why: Why


class SteerRamp(TypedDict):
    """What a ramp is to do: no further steps, go on, or take the next step whatever its gate says."""

    do: Literal["pause", "resume", "skip"]
    why: NotRequired[Why]


SETTABLE: tuple[Edited, ...] = ("share", "shadow")
KEYS = (*SETTABLE, "why")
ORDERS: Final = ("pause", "resume", "skip")
LARGEST_BODY = 64 * 1024

#: A change: given the panel, the route, who makes it and why, it is made, and its entries come back.
Deed = Callable[[Panel, str, str, str], list[Entry]]

log = logging.getLogger("strangler.console")


# -- what can be done ----------------------------------------------------------------------------------------


def setting(values: Mapping[Edited, str]) -> Deed:
    """Set a route's share, its shadow, or both. Raises BadValue at once for what is no share."""
    settled: dict[Edited, str] = {key: settled_value(value) for key, value in values.items()}

    def carry_out(panel: Panel, name: str, who: str, why: str) -> list[Entry]:
        asked_for(panel.table(), name)
        told = verdict_line(panel.table(), panel.state, name)
        return _logged(
            change(panel.routes_file, panel.state, name, key, value, who=who, why=why, evidence=told)
            for key, value in settled.items()
        )

    return carry_out


def rolling_back(to: str | None) -> Deed:
    """Lower the share of a route: to nothing, or as `roll_back` says."""

    def carry_out(panel: Panel, name: str, who: str, why: str) -> list[Entry]:
        told = verdict_line(panel.table(), panel.state, name)
        return _logged([roll_back(panel.routes_file, panel.state, name, to, who=who, why=why, evidence=told)])

    return carry_out


def ordering(do: str) -> Deed:
    """Pause the ramp of a route, let it go on, or take its next step without the gate: one of `ORDERS`."""

    def carry_out(panel: Panel, name: str, who: str, why: str) -> list[Entry]:
        if do != "skip":
            return _logged(
                [set_order(panel.routes_file, panel.state, name, paused=do == "pause", who=who, why=why)]
            )
        told = verdict_line(panel.table(), panel.state, name)
        entry = skip_gate(panel.routes_file, panel.state, name, who=who, why=why, evidence=told)
        if entry is None:
            raise BadValue(f"the ramp of {name} has no further step")
        return _logged([entry])

    return carry_out


async def carried_out(request: web.Request, deed: Deed, by: str, why: str) -> list[Entry]:
    """Make a change, in a thread. `by` is where it comes from, as in `console@127.0.0.1`."""
    panel, name = request.app[PANEL], request.match_info["name"]
    check_why(why)
    work = asyncio.create_task(
        asyncio.to_thread(deed, panel, name, f"{by}@{request.remote or 'unknown'}", why)
    )
    # A caller who hangs up must not leave us not knowing whether the file was written.
    return await asyncio.shield(work)


def _logged(made: Iterable[Entry | None]) -> list[Entry]:
    entries = []
    for entry in made:
        if entry is not None:
            log.info("%s: %s %s -> %s by %s", entry.route, entry.key, entry.from_, entry.to, entry.who)
            entries.append(entry)
    return entries


# -- the API -------------------------------------------------------------------------------------------------


async def patch(request: web.Request) -> web.Response:
    """Set a route's share, its shadow, or both."""
    body = await _body(request, KEYS)
    values: dict[Edited, str] = {key: body[key] for key in SETTABLE if key in body}
    if not values:
        raise Refusal(400, 'nothing to change: give "share", "shadow" or both, such as {"share": "25%"}')
    return await _answered(request, setting(values), body.get("why", ""))


async def rollback(request: web.Request) -> web.Response:
    """Give every caller of a route back to the legacy side."""
    body = await _body(request, ("why", "to")) if request.can_read_body else {}
    return await _answered(request, rolling_back(body.get("to")), body.get("why", "rollback"))


async def order(request: web.Request) -> web.Response:
    """Pause the ramp of a route, let it go on, or take its next step without the gate."""
    body = await _body(request, ("do", "why"))
    do = body.get("do")
    if do not in ORDERS:
        raise Refusal(400, 'say what to do: {"do": "pause"}, "resume" or "skip"')
    return await _answered(request, ordering(do), body.get("why", ""))


async def _answered(request: web.Request, deed: Deed, why: str) -> web.Response:
    entries = await carried_out(request, deed, "admin-api", why)
    table = request.app[PANEL].table()
    route = table.route(request.match_info["name"])
    answer: ChangesView = {
        "changes": [entry_view(entry) for entry in entries],
        "table": table.digest,
        "in_force": not entries or table.digest == entries[-1].file_after,
        "route": None if route is None else route_view(route),
    }
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def _body(request: web.Request, allowed: tuple[str, ...]) -> dict[str, str]:
    try:
        body: Any = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, 'the body must be an object such as {"share": "25%"}')
    unknown = sorted(set(body) - set(allowed))
    if unknown:
        names = ", ".join(ascii(name[:60]) for name in unknown[:8])
        raise Refusal(400, f"unknown keys: {names}; allowed are {', '.join(allowed)}")
    wrong = [key for key, value in body.items() if not isinstance(value, str)]
    if wrong:
        raise BadValue(f'"{wrong[0]}" must be text' + ("" if wrong[0] == "why" else ', such as "25%"'))
    return body
