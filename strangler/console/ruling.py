"""A difference as a rule of routes.yaml to copy: to accept it, or not to compare its place. Pure.

Each rule is one line in flow style, which fits into a route of either style, behind a remark that says where it goes.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Final

from strangler.compare import MARK, Kind, Where, fault, printable
from strangler.compare.path import LIMIT
from strangler.evidence import FingerprintDetail, RuleTexts
from strangler.routes import CompareRules, Route

#: How long something is accepted, unless somebody writes otherwise.
ACCEPTED_FOR: Final = timedelta(days=90)
#: Paths of a body as a whole.
_WHOLE: Final = frozenset({"$", "$[*]"})


def rule_texts(found: FingerprintDetail, route: Route | None, today: date) -> RuleTexts:
    """Both rules for a fingerprint; `route` is what routes.yaml says of its route now, None when it is gone."""
    rules = CompareRules() if route is None else route.compare
    known = [each.until for each in rules.accept if each.fingerprint == found["id"]]
    accepted = f"{{fingerprint: {_text(found['id'])}, reason: {_text(_reason(found))}, until: {today + ACCEPTED_FOR}}}"
    ignored = ignorable(found["where"], found["path"], found["kind"])
    return {
        "accept": _placed("accept", accepted, found["route"], rules, known[0] if known else None),
        "ignore": None if ignored is None else _placed(ignored[0], _text(ignored[1]), found["route"], rules),
    }


def ignorable(where: Where, path: str, kind: Kind) -> tuple[str, str] | None:
    """The narrowest rule, as key and place, under which a difference is none any more. None where there is no such
    rule, or only one that leaves a whole body or the status out."""
    key = "unordered" if kind == "order" else "ignore"
    if where == "status" or path == "" or (path in _WHOLE and key == "ignore"):
        return None
    if len(path) >= LIMIT or MARK.search(path):  # cut or redacted, and so not the place's own name
        return None
    place = f"header:{path}" if where == "header" else path
    return None if fault(key, place) else (key, place)


def _placed(key: str, item: str, route: str, rules: CompareRules, until: date | None = None) -> str:
    name = printable(route)
    if until is not None:
        return f"# in the place of the one that is accepted until {until}, under the route {name}\n- {item}\n"
    if getattr(rules, key):
        return f"# one more of the list `{key}` under the route {name}\n- {item}\n"
    if rules != CompareRules():
        return f"# under `compare` of the route {name}\n{key}: [{item}]\n"
    return f"# under the route {name}\ncompare: {{{key}: [{item}]}}\n"


def _reason(found: FingerprintDetail) -> str:
    where = found["path"] if found["where"] == "body" else f"{found['where']} {found['path']}".strip()
    legacy, extracted = found["legacy"], found["extracted"]
    classes = f": {legacy}, then {extracted}" if legacy != extracted else ""
    return printable(f"{found['kind']} at {where or 'the body'}{classes}")


def _text(text: str) -> str:
    """A scalar in double quotes: JSON's are YAML's, as long as every character can be printed."""
    return json.dumps(text, ensure_ascii=False)
