"""`strangler explain`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from strangler.cli.common import as_json_option, places, print_json, say
from strangler.compare import printable
from strangler.cutover import read_table
from strangler.routes import (
    METHOD_OVERRIDES,
    SAFE_METHODS,
    WHOLE,
    Decision,
    Router,
    Table,
    format_percent,
    may_write,
    target_for,
    why,
)

#: RFC 9110 section 5.6.2: what a method and a header name are made of.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Stands for the random identity that the proxy would mint.
SAMPLE = "a-sample-identity"


@dataclass(frozen=True, slots=True)
class Question:
    """The request asked about. Header names are lower case; the first of a name counts."""

    method: str
    target: str
    client: str
    headers: dict[str, str]

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return self.headers.get(name)


@click.command(short_help="Say which side answers a request, and why.")
@click.argument("method")
@click.argument("target")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header; may be given again."
)
@click.option(
    "--client", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where the caller comes from."
)
@as_json_option
@places
def explain(
    routes: Path, state: Path, method: str, target: str, headers: tuple[str, ...], client: str, as_json: bool
) -> int:
    """Say which side would answer a request, and why: by the same code as the proxy. Nothing is sent.

    TARGET is the path with its query, as in the request line.

    \b
    Example:
      strangler explain GET /payments/42 -H 'x-user-id: 7'
    """
    table, _ = read_table(routes, state)
    question = _question(method, target, headers, client, table)
    decision = Router(table).decide(question, lambda: SAMPLE)
    facts = _facts(question, decision)
    kept = dict(table.kept)
    if decision.route is not None and decision.route.name in kept:
        facts["file_share"] = kept[decision.route.name] / 1000
    if as_json:
        print_json(facts)
    else:
        _tell(facts, decision)
    return 0


def _question(method: str, target: str, headers: tuple[str, ...], client: str, table: Table) -> Question:
    if not _TOKEN.fullmatch(method):
        raise click.BadParameter(f"{printable(method, 60)} is not a method", param_hint="METHOD")
    if not target.startswith("/") and target != "*":
        raise click.BadParameter(
            "write the path with its query, such as /payments/42?full=1", param_hint="TARGET"
        )
    if not target.isascii() or any(character <= " " or character == "\x7f" for character in target):
        raise click.BadParameter("write spaces and non-ASCII letters percent-encoded", param_hint="TARGET")
    try:
        address = str(ipaddress.ip_address(client))
    except ValueError:
        raise click.BadParameter(
            f"{printable(client, 60)} is not an IP address", param_hint="--client"
        ) from None
    return Question(method, target, address, _headers(headers, str(table.listen)))


def _headers(given: tuple[str, ...], host: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            hint = f"write 'name: value', not {printable(line, 60)}"
            raise click.BadParameter(hint, param_hint="-H")
        key, text = name.lower(), value.strip(" \t")
        if key == "x-forwarded-for" and key in headers:
            headers[key] += f", {text}"  # a list over several lines is one list (RFC 9110 section 5.3)
        else:
            headers.setdefault(key, text)
    headers.setdefault("host", host)
    return headers


def _facts(question: Question, decision: Decision) -> dict[str, Any]:
    route, minted = decision.route, decision.minted is not None
    return {
        "route": route.name if route else None,
        "stage": route.stage if route else None,
        "share": route.share / 1000 if route else None,
        "side": decision.side,
        "undecided": minted and decision.bucket is not None,
        "upstream": {"name": decision.upstream.name, "address": decision.upstream.authority},
        "target": target_for(route, decision.side, question.target, decision.parameters),
        "identity": None if minted else decision.identity,
        "source": decision.source,
        "bucket": None if minted else decision.bucket,
        "mints": minted,
        "forced": decision.forced,
        "shadow": decision.shadow,
        "shadow_percent": route.shadow / 1000 if route else None,
        "shadow_writes": route.shadow_writes if route else None,
        "parameters": decision.parameters,
        "why": why(decision),
        "shadow_why": _shadow_why(question, decision),
    }


def _shadow_why(question: Question, decision: Decision) -> str:
    route = decision.route
    if route is None:
        return "no route, no copy"
    write = may_write(question.method, question.header)
    if write and route.shadow_writes == "never":
        return f"{_why_a_write(question)} and shadow_writes is never, so nothing is copied"
    share = format_percent(route.shadow)
    other = "extracted" if decision.side == "legacy" else "legacy"
    if route.shadow == 0:
        return "the shadow is 0%"
    if decision.minted and route.shadow < WHOLE:
        return f"the shadow is {share}: it depends on the identity that is minted"
    inside = "falls into" if decision.shadow else "falls outside"
    what = "every request" if route.shadow == WHOLE else f"this caller, who {inside} the {share},"
    verb = "is copied" if decision.shadow else "is not copied"
    marks = "; the copy of a write is marked (Strangler-Shadow: 1)" if write and decision.shadow else ""
    return f"the shadow is {share}: {what} {verb} to the {other} side{marks}"


def _why_a_write(question: Question) -> str:
    if question.method not in SAFE_METHODS:
        return f"{question.method} is not a safe method"
    named = next(name for name in METHOD_OVERRIDES if question.header(name) is not None)
    return f"{named} may stand for another method than {question.method}"


def _tell(facts: dict[str, Any], decision: Decision) -> None:
    upstream = facts["upstream"]
    undecided = facts["undecided"]
    side = "either, by the identity that is minted" if undecided else facts["side"]
    rows = [("route", facts["route"] or "none"), ("side", side)]
    if not undecided:
        rows += [("upstream", f"{upstream['name']} ({upstream['address']})"), ("target", facts["target"])]
    if facts["bucket"] is not None:
        rows.append(("bucket", str(facts["bucket"])))
    if "file_share" in facts:
        rows.append(
            (
                "share",
                f"{facts['share']:g}%; routes.yaml could not be told, and says {facts['file_share']:g}%",
            )
        )
    rows += [("shadow", facts["shadow_why"]), ("why", _reason(facts, decision))]
    for name, value in rows:
        say(f"{name + ':':<10}{printable(value, 2000)}")


def _reason(facts: dict[str, Any], decision: Decision) -> str:
    if decision.minted is None:
        return str(facts["why"])
    cookie = "the request names no identity, so the proxy mints one (cookie strangler_id)"
    if not facts["undecided"]:
        return f"{cookie}; {facts['why']}"
    return f"{cookie} before it decides; for example, {facts['why']}"
