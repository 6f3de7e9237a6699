"""A fingerprint as a page needs it: both answers side by side, the request to copy, and the rules to copy. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from strangler.compare import Line, Rules, compile_rules, marked
from strangler.console.curl import request_text
from strangler.console.ruling import rule_texts
from strangler.evidence import FingerprintDetail, FullExample, LineEntry
from strangler.evidence.observation import BODY_LIMIT
from strangler.routes import Bridge, Route, Table

_FREE = compile_rules()
_NO_BRIDGE = Bridge()


def detail_view(found: FingerprintDetail, table: Table, base: str, now: float) -> FingerprintDetail:
    """The fingerprint, and in each example its answers as lines and its request. `base` is where callers come in
    (`http://127.0.0.1:8080`), `now` Unix time.

    Marked is what differs under the rules of the running table; with a bridge, whose rules speak of other bodies than
    the kept ones, under none.
    """
    route = table.route(found["route"])
    rules = _rules(route)
    examples = [_example(each, rules, base, route) for each in found["examples"]]
    first = examples[0] if examples else None
    return {
        **found,
        "examples": examples,
        "request": None if first is None else {"curl": first["curl"], "note": first["note"]},
        "rule": rule_texts(found, route, datetime.fromtimestamp(now, UTC).date()),
    }


def _example(kept: FullExample, rules: Rules, base: str, route: Route | None) -> FullExample:
    lines = marked(kept["legacy_body"], kept["extracted_body"], rules, BODY_LIMIT)
    request = request_text(kept["method"], kept["target"], base, route)
    return {
        **kept,
        "lines": {"legacy": _entries(lines.legacy), "extracted": _entries(lines.extracted)},
        "curl": request["curl"],
        "note": request["note"],
    }


def _entries(lines: list[Line]) -> list[LineEntry]:
    return [{"text": line.text, "path": line.path, "differs": line.differs} for line in lines]


def _rules(route: Route | None) -> Rules:
    if route is None or route.compare.bridge != _NO_BRIDGE:
        return _FREE
    rules = route.compare
    return compile_rules(rules.ignore, rules.only, rules.unordered, rules.keyed, rules.tolerance)
